"""An objective on images as an objective on the latents that decode to them."""

from torch import Tensor, nn


class Decoded(nn.Module):
    """objective(x)_b = image(decode(x))_b + latent(x)_b, without the second term if there is no `latent`.

    decode: latents (b, c, h, w) -> images (b, 3, H, W), put in evaluation mode and frozen. It may work in its own
    precision, like `LatentDecoder`, if its images have that of x. Moving this module to another dtype also moves the
    decoder.
    """

    def __init__(self, decode: nn.Module, image: nn.Module, latent: nn.Module | None = None) -> None:
        super().__init__()
        self.decode = decode.eval().requires_grad_(False)
        self.image = image
        self.latent = latent

    def forward(self, x: Tensor) -> Tensor:
        value = self.image(self.decode(x))
        return value if self.latent is None else value + self.latent(x)
