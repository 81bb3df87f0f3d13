"""Any diffusers U-Net or transformer as a denoiser."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.diffusion.denoiser import NetworkDenoiser
from gradbench.diffusion.discrete import from_diffusers
from gradbench.diffusion.schedule import Schedule
from gradbench.diffusion.schedulers import EDM, FLOW, known
from gradbench.samplers.scheduler import sampler_for


class DiffusersNetwork(nn.Module):
    """A diffusers U-Net or transformer as a network of (x, time, condition), whatever its arguments are called.

    The condition is what cross-attention reads. Of a network that predicts a variance too (twice as many channels out
    as in), the first half is taken. `ValueError` for a module without the arguments of a denoising network, and for a
    condition given to one that reads none.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        names = inspect.signature(model.forward).parameters
        self._sample = next((name for name in ("sample", "hidden_states") if name in names), "")
        if not self._sample or "timestep" not in names:
            raise ValueError(
                f"{type(model).__name__} is no denoising network of diffusers: its forward must take "
                f"sample (or hidden_states) and timestep, it takes {', '.join(names)}"
            )
        self._reads = "encoder_hidden_states" in names
        self.model = model

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None = None, **extra: Any) -> Tensor:
        """(b, c, *x), (), (b, tokens, width) -> (b, c, *x)."""
        if condition is not None:
            if not self._reads:
                raise ValueError(f"{type(self.model).__name__} reads no condition: leave it out")
            extra["encoder_hidden_states"] = condition
        inputs = {self._sample: x, "timestep": time.expand(len(x)), **extra}
        return self.model(**inputs, return_dict=False)[0][:, : x.shape[1]]


KINDS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v", "flow_prediction": "flow"}


def kind_of(scheduler: Any) -> str:
    """What a network predicts, by its scheduler's `prediction_type`; eps where that is a `Schedule`."""
    if known(scheduler) in EDM:
        raise ValueError(
            f"a network of {type(scheduler).__name__} answers what its preconditioning makes an x_0 of: wrap it in a "
            "NetworkDenoiser of kind 'x0'"
        )
    if known(scheduler) in FLOW or "FlowMatch" in type(scheduler).__name__:
        return "flow"
    prediction = "epsilon" if isinstance(scheduler, Schedule) else scheduler.config.get("prediction_type", "epsilon")
    return KINDS[checks.one_of("prediction_type", prediction, KINDS)]


def diffusers_denoiser(
    model: nn.Module,
    scheduler: Any,
    condition: Tensor | None = None,
    *,
    null_condition: Tensor | None = None,
    guidance: float = 1.0,
    batched: bool = False,
    extra: Mapping[str, Any] | None = None,
    null_extra: Mapping[str, Any] | None = None,
    inner_checkpointing: bool | None = None,
    compile: bool = False,
) -> NetworkDenoiser:
    """A denoiser of a diffusers network and its scheduler's noise schedule and prediction type.

    condition: (tokens, width), shared by the batch, or with `batched` (1 or b, tokens, width), as text encoders give
    it. scheduler: a diffusers scheduler, or a `Schedule` for a network that predicts eps. extra, null_extra: further
    arguments of the network, tensors with a leading axis of 1 (`pooled_projections`, `added_cond_kwargs`,
    `class_labels`). inner_checkpointing: whether the network recomputes its own blocks in a backward pass, an axis of
    its own that goes with every estimator; None leaves it as it is. compile: torch.compile of the network. Raises
    `ValueError` for schedulers and networks that are none of these.
    """
    network: nn.Module = DiffusersNetwork(model)
    if inner_checkpointing is not None:
        set_inner_checkpointing(model, inner_checkpointing)
    schedule = scheduler if isinstance(scheduler, Schedule) else from_diffusers(scheduler)
    if compile:
        network = torch.compile(network)  # type: ignore[assignment]
    made = NetworkDenoiser(
        network,
        schedule,
        kind=kind_of(scheduler),
        condition=condition,
        null_condition=null_condition,
        guidance=guidance,
        batched=batched,
        extra=extra,
        null_extra=null_extra,
    )
    if not isinstance(scheduler, Schedule):
        try:
            made.sampler = sampler_for(scheduler)
        except ValueError as reason:
            made.why_no_sampler = str(reason)
    return made


def set_inner_checkpointing(model: Any, on: bool) -> None:
    """Turns a diffusers model's own gradient checkpointing on or off; `ValueError` where it has none."""
    if on and not getattr(model, "_supports_gradient_checkpointing", False):
        raise ValueError(f"{type(model).__name__} has no gradient checkpointing of its own: inner_checkpointing=False")
    if on:
        model.enable_gradient_checkpointing()
    elif getattr(model, "is_gradient_checkpointing", False):
        model.disable_gradient_checkpointing()
