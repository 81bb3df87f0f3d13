"""Any diffusers U-Net or transformer as a denoiser."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.contract import check_module, tensor_of
from gradbench.diffusion.denoiser import NetworkDenoiser
from gradbench.diffusion.discrete import from_diffusers
from gradbench.diffusion.precision import precision_of
from gradbench.diffusion.precondition import Preconditioning
from gradbench.diffusion.schedule import Schedule
from gradbench.diffusion.schedulers import FLOW, known
from gradbench.diffusion.told import Told
from gradbench.models.conventions import Convention, config_of, convention_of, is_own, unwrapped
from gradbench.models.placed import refuse_moving
from gradbench.samplers.scheduler import sampler_for

PROMPT_MADE = ("text_embeds", "pooled_projections", "encoder_attention_mask", "encoder_hidden_states_mask")


class DiffusersNetwork(nn.Module):
    """A diffusers U-Net or transformer as a network of (x, time, condition), whatever its arguments are called.

    The condition is the input of cross-attention, (b, tokens, width). If the network also predicts a variance (twice as
    many output channels as input channels), the first half is used; if its flow points the other way (Lumina, Z-Image),
    the output is negated. Wrappers of torch.compile and peft are called as they are; the arguments are read from the
    module inside. `ValueError` for a module without the arguments of a denoising network, for a condition that is not
    read, missing or of the wrong width, and for an x with the wrong number of channels.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        check_module(model)
        inner = unwrapped(model)
        takes = inspect.signature(inner.forward).parameters
        self._names = tuple(takes)
        self._open = any(each.kind is each.VAR_KEYWORD for each in takes.values())
        self._sample, self._time, self._text = _arguments(inner, self._names)
        self._needs = _required(inner, self._text)
        self._convention = convention_of(model) or Convention(channels=None)
        self._config = config_of(model)
        self._scale = float(self._config.get("timestep_scale") or 1.0) if "Sana" in type(inner).__name__ else 1.0
        self.model = model

    @property
    def dtype(self) -> torch.dtype | None:
        """The precision of the model."""
        return precision_of(self.model, torch.float32) if any(True for _ in self.model.parameters()) else None

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None = None, **extra: Any) -> Tensor:
        """(b, c, *x), (), (b, tokens, width) -> (b, c, *x)."""
        self._check(x, condition)
        at = (self._scale * time).to(x.dtype if self._convention.cast else time.dtype).expand(len(x))
        if self._sample == "x":  # Z-Image takes and returns lists of one-frame images
            given = {"x": list(x.unsqueeze(2)), "t": at, "cap_feats": list(_given(condition)), **extra}
            answer = self.model(**given, return_dict=False)[0]
            return self._convention.sign * torch.stack(list(answer)).squeeze(2)
        inputs = {self._sample: x, self._time: at, **extra}
        if condition is not None:
            frames = self._convention.per_frame
            inputs[self._text] = condition if frames is None else condition.repeat_interleave(x.shape[frames], dim=0)
        if "return_dict" in self._names:
            inputs["return_dict"] = False
        answer = tensor_of(self.model(**inputs), x)
        if answer.ndim > 1 and answer.shape[1] == 2 * x.shape[1]:
            answer = answer[:, : x.shape[1]]
        return answer if self._convention.sign == 1 else -answer

    def check_extra(self, extra: Mapping[str, Any]) -> None:
        """`ValueError` for an extra input that the network does not read."""
        free = [name for name in self._names if name not in (self._sample, self._time, "return_dict")]
        for key in () if self._open else extra:
            checks.one_of(f"extra input of {type(unwrapped(self.model)).__name__}", key, free)

    def _check(self, x: Tensor, condition: Tensor | None) -> None:
        name = type(unwrapped(self.model)).__name__
        if condition is not None and not self._text:
            raise UsageError(f"{name} reads no condition: leave it out")
        if condition is None and self._needs:
            raise UsageError(f"{name} reads a condition ({self._text}): give condition=, as text encoders make it")
        reads, axis = self._config.get("in_channels"), self._convention.channels
        if axis is not None and isinstance(reads, int) and (x.ndim <= axis or x.shape[axis] != reads):
            raise UsageError(
                f"{name} reads {reads} channels, and x {tuple(x.shape)} has {x.shape[axis] if x.ndim > axis else 0}: "
                "where it reads a mask or another image too (inpainting, editing), wrap it in a module that adds them "
                "to x, and give that to NetworkDenoiser"
            )
        if condition is None:
            return
        if condition.ndim != 3 and self._convention.width:
            raise UsageError(
                f"{name} reads a condition (b, tokens, width) and is given {tuple(condition.shape)}: give (tokens, "
                "width), shared by the batch, or (1 or b, tokens, width) with batched=True"
            )
        width = self._config.get(self._convention.width)
        if self._config.get("encoder_hid_dim") is not None:
            width = self._config["encoder_hid_dim"]
        if isinstance(width, int) and condition.shape[-1] != width:
            raise UsageError(f"{name} reads a condition of width {width}, got {tuple(condition.shape)}")


def _given(condition: Tensor | None) -> Tensor:
    assert condition is not None  # checked before
    return condition


def _arguments(model: nn.Module, names: tuple[str, ...]) -> tuple[str, str, str]:
    """The argument names of x, the time and the condition; the last is empty if none is read."""
    if {"x", "t", "cap_feats"} <= set(names):
        return "x", "t", "cap_feats"
    if isinstance(getattr(model, "module", None), nn.Module):  # DataParallel, AveragedModel
        raise UsageError(f"{type(model).__name__} wraps a network: give its .module")
    sample = next((name for name in ("sample", "hidden_states") if name in names), "")
    if not sample or "timestep" not in names:
        raise UsageError(
            f"{type(model).__name__} is not a denoising network of diffusers: its forward must take "
            f"sample (or hidden_states) and timestep, it takes {', '.join(names)}"
        )
    return sample, "timestep", "encoder_hidden_states" if "encoder_hidden_states" in names else ""


def _required(model: nn.Module, text: str) -> bool:
    """Whether the network needs a condition: the argument has no default, or the convention gives its width."""
    if not text:
        return False
    convention = convention_of(model)
    own = inspect.signature(model.forward).parameters[text].default is inspect.Parameter.empty
    return own or bool(convention and convention.width)


PREDICTION_TYPES = {"epsilon": "eps", "sample": "x0", "v_prediction": "v", "flow_prediction": "flow"}


def kind_of(scheduler: Any) -> str:
    """What a network predicts, by its scheduler's `prediction_type`: flow for flow matching, eps for a `Schedule`."""
    if known(scheduler) in FLOW or "FlowMatch" in type(scheduler).__name__:
        return "flow"
    prediction = "epsilon" if isinstance(scheduler, Schedule) else scheduler.config.get("prediction_type", "epsilon")
    return PREDICTION_TYPES[checks.one_of("prediction_type", prediction, PREDICTION_TYPES)]


def preconditioning_of(scheduler: Any) -> Preconditioning | None:
    """EDM's scales if the scheduler applies them to the network's input and output, else None."""
    if not hasattr(scheduler, "precondition_outputs"):
        return None
    config = scheduler.config
    return Preconditioning(float(config["sigma_data"]), config["prediction_type"])


def told_by(model: nn.Module, scheduler: Any, schedule: Schedule) -> Told | None:
    """The form of a network's time input, from its class and its scheduler; `ValueError` if neither determines it.

    A class of one's own takes the index on a table of alphas, as in every training loop there. On rectified flow the
    classes of diffusers take the index, t or 1 - t, so that nothing follows from the scheduler.
    """
    convention, name = convention_of(model), type(unwrapped(model)).__name__
    ask = (
        "specify its time input: told='index' (the scheduler's timestep), '1000 t', 't', '1 - t', "
        "'log(sigma)/4' or a function of t"
    )
    if convention is None and (schedule.name == "rectified" or not is_own(model)):
        raise UsageError(f"{name} is not a network whose convention is known: {ask}")
    convention = convention or Convention()
    config = getattr(scheduler, "config", {})
    if hasattr(scheduler, "precondition_noise"):
        if convention.told != "index" or not type(scheduler).__name__.startswith("EDM"):
            raise UsageError(f"{type(scheduler).__name__} with {name}: {ask}")
        return "log(sigma)/4"
    if config.get("timestep_type") == "continuous" and convention.told == "index":
        raise UsageError(f"the scheduler has timestep_type='continuous': {ask}")
    return convention.told if convention.told != "index" or not isinstance(scheduler, Schedule) else None


def diffusers_denoiser(
    model: nn.Module,
    scheduler: Any,
    condition: Tensor | None = None,
    *,
    null_condition: Tensor | None = None,
    guidance: float = 1.0,
    guidance_rescale: float | str | None = None,
    told: Told | None = None,
    batched: bool = False,
    extra: Mapping[str, Any] | None = None,
    null_extra: Mapping[str, Any] | None = None,
    encoder: nn.Module | None = None,
    inner_checkpointing: bool | None = None,
    compile: bool = False,
) -> NetworkDenoiser:
    """A denoiser from a diffusers network and its scheduler's noise schedule and prediction type.

    condition: (tokens, width), shared by the batch, or with `batched` (1 or b, tokens, width), as text encoders return
    it. scheduler: a diffusers scheduler, or a `Schedule` for a network that predicts eps; an EDM scheduler adds its
    preconditioning. guidance: w of `NetworkDenoiser`; as in diffusers, w <= 1 means none (the scale of Z-Image's
    pipeline is w - 1). guidance_rescale: by default that of the class (`norm` for Qwen-Image and Lumina 2, otherwise
    none). told: the form of the time input, by default that of the class's pipeline. extra, null_extra: further
    arguments of the network, tensors with a leading axis of 1 or b (`pooled_projections`, `added_cond_kwargs`,
    `class_labels`), or without one where the class has none (`img_ids`, `image_rotary_emb`). inner_checkpointing:
    whether the network recomputes its own blocks in the backward pass, which combines with every estimator; None keeps
    the current setting. compile: torch.compile of the network. Raises `ValueError` for other schedulers and networks;
    for a class or scheduler of unknown convention without `told`; for a guidance-distilled network without its
    guidance; for pooled embeddings under guidance without those of the null prompt; and for hooks that move weights or
    keep outputs from step to step.
    """
    network = DiffusersNetwork(model)
    refuse_moving(model)
    network.check_extra(extra or {})
    guided = checks.finite("guidance", guidance) > 1.0
    _refuse_half_told(model, extra or {}, null_extra, guided and encoder is None)
    schedule = scheduler if isinstance(scheduler, Schedule) else from_diffusers(scheduler)
    told = told_by(model, scheduler, schedule) if told is None else told
    convention = convention_of(model) or Convention()
    if inner_checkpointing is not None:
        set_inner_checkpointing(model, inner_checkpointing)
    precondition = preconditioning_of(scheduler)
    made = NetworkDenoiser(
        torch.compile(network) if compile else network,  # type: ignore[arg-type]
        schedule,
        kind="x0" if precondition is not None else kind_of(scheduler),
        told=told,
        condition=condition,
        null_condition=null_condition,
        guidance=float(guidance) if guided else 1.0,
        guidance_rescale=convention.rescale if guidance_rescale is None else guidance_rescale,
        batched=batched,
        extra=extra,
        null_extra=null_extra,
        shared=convention.shared,
        encoder=encoder,
        precondition=precondition,
    )
    if not isinstance(scheduler, Schedule):
        try:
            made.sampler = sampler_for(scheduler)
        except ValueError as reason:
            made.why_no_sampler = str(reason)
    return made


def _refuse_half_told(model: Any, extra: Mapping[str, Any], null_extra: Any, guided: bool) -> None:
    """`ValueError` for a distilled network without its guidance, and for guidance without the null prompt's extra."""
    config, name = config_of(model), type(unwrapped(model)).__name__
    if config.get("time_cond_proj_dim") is not None and "timestep_cond" not in extra:
        raise UsageError(
            f"{name} receives its guidance as an input (timestep_cond): give extra={{'timestep_cond': (1, "
            f"{config['time_cond_proj_dim']})}}, as its pipeline's get_guidance_scale_embedding makes it"
        )
    if config.get("guidance_embeds") and "guidance" not in extra:
        raise UsageError(
            f"{name} receives its guidance as an input: give extra={{'guidance': torch.tensor([3.5])}}, of its scale"
        )
    held = [*extra, *(key for value in extra.values() if isinstance(value, Mapping) for key in value)]
    made = [key for key in PROMPT_MADE if key in held]
    if guided and made and null_extra is None:
        raise UsageError(f"guidance needs null_extra: {made[0]} in extra is the prompt's, give the null prompt's too")


def set_inner_checkpointing(model: Any, on: bool, remedy: str = "inner_checkpointing=False") -> None:
    """Turns a diffusers model's own gradient checkpointing on or off; `ValueError` if it has none to turn on."""
    model = unwrapped(model)
    if on and not getattr(model, "_supports_gradient_checkpointing", False):
        raise UsageError(f"{type(model).__name__} has no gradient checkpointing of its own: give {remedy}")
    if on:
        model.enable_gradient_checkpointing()
    elif getattr(model, "is_gradient_checkpointing", False):
        model.disable_gradient_checkpointing()
