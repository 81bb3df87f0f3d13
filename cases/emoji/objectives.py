"""Objectives on pictures of the emoji case; the network of each has a twin, trained independently, to judge by.

Pictures x are (b, 3, 32, 32) in [0, 1]; the networks read 2 x - 1 and are frozen.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Cosine(nn.Module):
    """objective(x)_b = <e(2 x_b - 1), aim>, e(.) and `aim` (width) being unit vectors.

    With a scorer's image encoder and the embedding of a caption this is CLIP's score. References: Radford et al., 2021,
    arXiv:2103.00020, section 2.3; Hessel et al., 2021, arXiv:2104.08718.
    """

    def __init__(self, encoder: nn.Module, aim: Tensor) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        self.aim: Tensor
        self.register_buffer("aim", aim)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, 32, 32) -> (b)."""
        return self.encoder(2 * x - 1) @ self.aim


class Distance(Cosine):
    """objective(x)_b = 1 - <e(2 x_b - 1), aim>: half the squared distance of the two unit vectors."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, 32, 32) -> (b)."""
        return 1 - super().forward(x)


class Named(nn.Module):
    """Logits (b, n): scale <e(2 x_b - 1), t_j> for the unit vectors t_j (n, width) of n captions."""

    def __init__(self, encoder: nn.Module, captions: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.captions: Tensor
        self.register_buffer("captions", scale * captions)

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, 32, 32) -> (b, n)."""
        return self.encoder(2 * x - 1) @ self.captions.T


class Signed(nn.Module):
    """A network of pictures in [-1, 1], given those in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """network(2 x - 1)."""
        return self.network(2 * x - 1)


class FeatureGram(nn.Module):
    """objective(x)_b = 1/l sum_l 1/N_l^2 sum_ij (G^l_ij(x_b) - A^l_ij)^2, the distance of two textures.

    G^l_ij = 1/M_l sum_p F^l_ip F^l_jp is the Gram matrix of the N_l features after stage l over its M_l places, and A^l
    that of `reference` (3, 32, 32). References: Gatys, Ecker and Bethge, 2016, arXiv:1508.06576, equations 3 to 5, with
    the stages of a trained image encoder in place of VGG's.
    """

    def __init__(self, encoder: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.encoder: Any = encoder.eval().requires_grad_(False)
        with torch.no_grad():
            for number, gram in enumerate(self.grams(reference[None])):
                self.register_buffer(f"gram_{number}", gram)

    def grams(self, x: Tensor) -> Sequence[Tensor]:
        """(b, N_l, N_l) for every stage."""
        maps = [found.flatten(2) for found in self.encoder.features(2 * x - 1)]
        return [found @ found.transpose(1, 2) / found.shape[-1] for found in maps]

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, 32, 32) -> (b)."""
        found = self.grams(x)
        aims = [self.get_buffer(f"gram_{number}").expand_as(gram) for number, gram in enumerate(found)]
        terms = [
            functional.mse_loss(gram, aim, reduction="none").mean((1, 2)) for gram, aim in zip(found, aims, strict=True)
        ]
        return torch.stack(terms).mean(0)
