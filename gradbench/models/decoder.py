"""A latent diffusion model's decoder, from latents to images in [0, 1]."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any, Self

import torch
from torch import Tensor, nn

from gradbench.checks import UsageError
from gradbench.diffusion.precision import precision_of
from gradbench.models.conventions import unwrapped
from gradbench.models.network import set_inner_checkpointing
from gradbench.models.placed import refuse_moving

# the autoencoders of diffusers whose decode is one decoder, after post_quant_conv if there is one
DECODES = (
    "AutoencoderKL",
    "AsymmetricAutoencoderKL",
    "AutoencoderTiny",
    "AutoencoderDC",
    "AutoencoderKLHunyuanImage",
    "AutoencoderKLKVAE",
)


class LatentDecoder(nn.Module):
    """images = D(z / scaling + shift) / 2 + 1/2, not clamped, where D is the decoder of a diffusers autoencoder.

    z: latents (b, c, h, w), in any precision; D works in its own, and the images (b, 3, f h, f w) have that of z. f is
    the upsampling factor. A float16 autoencoder whose configuration sets `force_upcast` overflows internally; D is then
    a float32 copy outside float16 autocast. checkpointing: recompute the decoder's blocks in the backward pass, one
    block's tape at a time (without it, the tape of one decoded image is larger than that of one U-Net evaluation); None
    keeps the setting. Raises `ValueError` for an autoencoder whose `decode` is another map (`VQModel` quantises first),
    that shifts and scales each channel separately, decodes in tiles, or has offloaded weights; and at the call if it
    must be upcast and was cast to float16 since. References: Rombach et al., 2022, arXiv:2112.10752, section 3.1.
    """

    def __init__(self, vae: Any, checkpointing: bool | None = True) -> None:
        super().__init__()
        vae = unwrapped(vae)
        _refuse_other_map(vae)
        if getattr(vae.config, "latents_mean", None) is not None:
            raise UsageError(f"{type(vae).__name__} has latents_mean and latents_std: allowed is one scaling_factor")
        if getattr(vae, "use_tiling", False):
            raise UsageError(f"{type(vae).__name__} decodes in tiles, another map: call pipe.vae.disable_tiling()")
        refuse_moving(vae, type(vae).__name__)
        if checkpointing is not None:
            set_inner_checkpointing(
                vae, checkpointing, "checkpointing=False (from_pipeline: decoder_checkpointing=False)"
            )
        self.first: nn.Module = getattr(vae, "post_quant_conv", None) or nn.Identity()
        self.decoder: nn.Module = vae.decoder
        self.scaling = float(vae.config.scaling_factor)
        self.shift = float(getattr(vae.config, "shift_factor", None) or 0.0)
        self.upcast = bool(getattr(vae.config, "force_upcast", False))
        if self._overflows():
            self.first, self.decoder = (copy.deepcopy(part).float() for part in (self.first, self.decoder))

    def forward(self, z: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, 3, f h, f w)."""
        if self._overflows():
            raise UsageError(
                "the autoencoder overflows in float16 (force_upcast=True), and was cast to it after its LatentDecoder "
                "was made: make the decoder after the cast, or call its .float()"
            )
        with self._outside_of_half(z.device.type):
            inputs = (z / self.scaling + self.shift).to(precision_of(self.decoder, z.dtype))
            return (self.decoder(self.first(inputs)) / 2 + 0.5).to(z.dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Called by `.half()` and the like; a decoder that must not work in float16 stays in float32."""
        super()._apply(fn, recurse)
        return self.float() if self._overflows() else self

    def _overflows(self) -> bool:
        return self.upcast and precision_of(self.decoder, torch.float32) is torch.float16

    @contextlib.contextmanager
    def _outside_of_half(self, device: str) -> Iterator[None]:
        half = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) is torch.float16
        with torch.autocast(device, enabled=False) if self.upcast and half else contextlib.nullcontext():
            yield


def _refuse_other_map(vae: Any) -> None:
    """`ValueError` unless the class of `vae`, or the one whose methods it inherits, is among `DECODES`."""
    own = type(vae)
    known = next((base for base in own.__mro__ if base.__name__ in DECODES), own)
    inherited = all(getattr(own, name, None) is getattr(known, name, None) for name in ("decode", "_decode"))
    if known.__name__ not in DECODES or not inherited:
        raise UsageError(
            f"{own.__name__}.decode is not known to be one decoder: allowed are {', '.join(DECODES)}; for another, "
            "wrap its decode in a module of your own, from latents to images (b, 3, h, w) in [0, 1]"
        )
