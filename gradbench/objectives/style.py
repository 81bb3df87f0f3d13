"""The distance between the textures of two images, by correlations of random features."""

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.objectives.pattern import texture
from gradbench.objectives.random_features import RandomConv

SIZES = (3, 5, 7, 11)  # pixels, of the random filters of each layer
FILTERS = 16  # random filters per layer


class GramStyle(nn.Module):
    """objective(x)_b = sum_l w_l E_l with E_l = 1/(4 N^2) sum_ij (G^l_ij(x_b)/M - A^l_ij/M')^2.

    G^l_ij = sum_p F^l_ip F^l_jp is the Gram matrix of the features of layer l over its M pixels, A^l that of
    `reference` (3, h', w'), with M' pixels; for images of equal size this is the paper's 1/(4 N^2 M^2) sum (G - A)^2.

    The features are random: l is one of four sizes of filters, 3, 5, 7 and 11 pixels, with N = 16 filters each, drawn
    from `seed`, applied to 2 x - 1 and followed by silu; w_l = 1/4. No network is trained; the features
    describe texture as a filter bank does.

    x: (b, 3, h, w), RGB in [0, 1] and of any size; values outside are not clamped, and the formula still applies.
    `ValueError` for anything but images of three channels and for a seed that is not an integer >= 0.

    References: Gatys, Ecker and Bethge, 2016, arXiv:1508.06576, equations 3 to 5; Ustyuzhaninov et al., 2016,
    arXiv:1606.00021 (one layer of random filters of many sizes makes textures).
    """

    def __init__(self, reference: Tensor, seed: int = 0) -> None:
        super().__init__()
        checks.images("reference", reference[None])
        generator = torch.Generator().manual_seed(checks.seed(seed))
        self.layers = nn.ModuleList(RandomConv(FILTERS, 3, size, generator) for size in SIZES)
        self.reference: Tensor
        with torch.no_grad():
            self.register_buffer("reference", self.gram(reference[None].to(torch.get_default_dtype())))

    def gram(self, x: Tensor) -> Tensor:
        """(b, layers, N, N): the Gram matrix of each layer divided by its number of pixels."""
        features = torch.stack([layer(2 * x - 1) for layer in self.layers], 1).flatten(3)
        return features @ features.transpose(2, 3) / features.shape[-1]

    def forward(self, x: Tensor) -> Tensor:
        checks.images("x", x)
        return (self.gram(x) - self.reference).square().mean((1, 2, 3)) / 4


def textured(shape: tuple[int, int, int], seed: int, target: Tensor | None = None) -> GramStyle:
    """The distance to the image `target`, or to a texture of that shape drawn from the seed."""
    return GramStyle(texture(shape, seed) if target is None else target, seed)
