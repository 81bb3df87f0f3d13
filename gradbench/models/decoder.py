"""A latent diffusion model's decoder, from latents to images in [0, 1]."""

from typing import Any

from torch import Tensor, nn

from gradbench.models.network import set_inner_checkpointing


class LatentDecoder(nn.Module):
    """images = D(z / scaling + shift) / 2 + 1/2, with D a diffusers autoencoder's decoder: not clamped.

    z: latents (b, c, h, w), in any precision; D works in its own and the images (b, 3, f h, f w) have that of z. With
    `checkpointing` the decoder's blocks are computed again in a backward pass, one block's tape at a time: without it
    the tape of one decoded image is larger than that of one evaluation of the U-Net; None leaves it as it is. Raises
    `ValueError` for an autoencoder that shifts and scales each channel of its own. References: Rombach et al., 2022,
    arXiv:2112.10752, section 3.1.
    """

    def __init__(self, vae: Any, checkpointing: bool | None = True) -> None:
        super().__init__()
        if getattr(vae.config, "latents_mean", None) is not None:
            raise ValueError(f"{type(vae).__name__} has latents_mean and latents_std: allowed is one scaling_factor")
        if checkpointing is not None:
            set_inner_checkpointing(vae, checkpointing)
        self.first: nn.Module = getattr(vae, "post_quant_conv", None) or nn.Identity()
        self.decoder: nn.Module = vae.decoder
        self.scaling = float(vae.config.scaling_factor)
        self.shift = float(getattr(vae.config, "shift_factor", None) or 0.0)

    def forward(self, z: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, 3, f h, f w)."""
        dtype = next(self.decoder.parameters()).dtype
        images = self.decoder(self.first((z / self.scaling + self.shift).to(dtype)))
        return (images / 2 + 0.5).to(z.dtype)
