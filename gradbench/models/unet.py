"""Any diffusers U-Net with cross-attention as a denoiser."""

from typing import Any

from torch import Tensor, nn

from gradbench.diffusion.denoiser import NetworkDenoiser
from gradbench.diffusion.discrete import from_diffusers
from gradbench.diffusion.schedule import Schedule


class ConditionalUNet(nn.Module):
    """`UNet2DConditionModel` as a network of (x, time, condition): the condition is what cross-attention reads."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """(b, c, h, w), (), (b, tokens, width) -> (b, c, h, w)."""
        return self.unet(x, time, encoder_hidden_states=condition).sample


_KINDS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}


def unet_denoiser(
    unet: nn.Module,
    scheduler: Any,
    condition: Tensor,
    *,
    null_condition: Tensor | None = None,
    guidance: float = 1.0,
    batched: bool = False,
) -> NetworkDenoiser:
    """A denoiser of a diffusers U-Net and its scheduler's noise schedule and prediction type.

    condition: (tokens, width), shared by the batch, or with `batched` (1 or b, tokens, width), as text encoders give
    it. scheduler: a diffusers scheduler, or a `Schedule` for a network that predicts eps.
    """
    is_schedule = isinstance(scheduler, Schedule)
    schedule = scheduler if is_schedule else from_diffusers(scheduler)
    prediction = "epsilon" if is_schedule else scheduler.config.get("prediction_type", "epsilon")
    if prediction not in _KINDS:
        raise ValueError(f"prediction_type must be one of {', '.join(_KINDS)}, got {prediction!r}")
    return NetworkDenoiser(
        ConditionalUNet(unet),
        schedule,
        kind=_KINDS[prediction],
        condition=condition,
        null_condition=null_condition,
        guidance=guidance,
        batched=batched,
    )
