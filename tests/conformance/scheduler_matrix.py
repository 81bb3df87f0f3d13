"""The support matrix of diffusers' schedulers: every class with its options, run by its own loop and by ours.

`python -m tests.conformance.scheduler_matrix` writes the page of the docs. The scheduling modules of diffusers run in
double precision here: their names `torch` and `np` say float64 where they say float32.
"""

import contextlib
import importlib
import inspect
import itertools
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import diffusers.schedulers
import numpy as np
import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import nn

import gradbench
from gradbench.diffusion.denoiser import Denoiser, NetworkPrediction, Prediction
from gradbench.diffusion.schedulers import EDM, OTHERS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "schedulers.md"
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
OTHER_BETAS = {
    "linear": {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},  # diffusers' default, DDPM's
    "less linear": {"beta_schedule": "linear", "beta_start": 0.00085, "beta_end": 0.012},
    "more scaled linear": {"beta_schedule": "scaled_linear", "beta_start": 0.0001, "beta_end": 0.02},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
}
SPACINGS = ("leading", "trailing", "linspace")
PREDICTIONS = ("epsilon", "sample", "v_prediction")
RULES = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
TOLERANCE = 1e-6
KINDS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v", "flow_prediction": "flow"}
CLASSES = {
    name: kind
    for name in sorted(set(itertools.chain(*diffusers.schedulers._import_structure.values())))
    for kind in [getattr(diffusers.schedulers, name)]
    if isinstance(kind, type) and issubclass(kind, SchedulerMixin) and kind is not SchedulerMixin
}


@dataclass(frozen=True)
class Cell:
    """A class with options that differ from its base, and a call of `grid_of`."""

    name: str
    base: Mapping[str, Any] = field(hash=False)
    changed: Mapping[str, Any] = field(hash=False)
    call: Mapping[str, Any] = field(hash=False)

    @property
    def label(self) -> str:
        """What differs from the class's base in the words of the page."""
        told = [f"{key}={value}" for key, value in self.changed.items()]
        given = [key if key in ("sigmas", "timesteps") else f"{key}={value}" for key, value in self.call.items()]
        return ", ".join([*told, *given])


class SmallNetwork(nn.Module):
    """Smooth and nonlinear in x and in time."""

    def __init__(self, scale: float = 1000.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(0.3 * torch.randn(6, 6, generator=generator, dtype=torch.float64))
        self.scale = scale

    def forward(self, x: torch.Tensor, time: Any, condition: None = None) -> torch.Tensor:
        return torch.tanh(x @ self.weight + time / self.scale) + 0.1 * x


class Preconditioned(Denoiser):
    """EDM's contract: x_0 = c_skip x + c_out F(c_in x, c_noise), c_noise what the scheduler tells at its stops."""

    clean = False

    def __init__(self, network: nn.Module, schedule: Any, scheduler: Any) -> None:
        super().__init__(schedule)
        self.network, self.data = network, scheduler.config.sigma_data
        self.sign = -1.0 if scheduler.config.prediction_type == "v_prediction" else 1.0

    def predict(self, x: torch.Tensor, t: float) -> Prediction:
        sigma, length = float(t), math.hypot(t, self.data)
        answer = self.network(x / length, t.told)  # type: ignore[attr-defined]
        x_0 = (self.data / length) ** 2 * x + self.sign * sigma * self.data / length * answer
        return NetworkPrediction("x0", x_0, x, 1.0, sigma)


class _Double:
    """A module whose float32 is float64."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, "float64" if name == "float32" else name)


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """Schedulers made and run inside are in float64 throughout."""
    modules = [importlib.import_module(kind.__module__) for kind in CLASSES.values()]
    with contextlib.ExitStack() as stack:
        for module in set(modules):
            for name, real in (("torch", torch), ("np", np)):
                if hasattr(module, name):
                    stack.enter_context(mock.patch.object(module, name, _Double(real)))
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def normals(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def theirs(scheduler: Any, network: nn.Module, y: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """The scheduler's own loop from its own latents, on the tape; step k draws noise[k], whenever it draws."""
    module, now = sys.modules[type(scheduler).__module__], [0]
    patches = contextlib.ExitStack()
    if hasattr(module, "randn_tensor"):
        patches.enter_context(mock.patch.object(module, "randn_tensor", lambda *args, **kwargs: noise[now[0]]))
    with patches:
        if hasattr(scheduler, "noise_sampler"):
            scheduler.noise_sampler = lambda *sigmas: noise[now[0]]
        if (scheduler.timesteps == scheduler.timesteps[0]).sum() > 1 and hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)  # as pipelines do whose first timestep may come twice
        for k, t in enumerate(scheduler.timesteps):
            now[0] = k
            answer = network(scheduler.scale_model_input(y, t) if hasattr(scheduler, "scale_model_input") else y, t)
            y = scheduler.step(answer, t, y).prev_sample
    return y


def set_theirs(scheduler: Any, call: Mapping[str, Any]) -> None:
    given = {("num_inference_steps" if key == "steps" else key): value for key, value in call.items()}
    if "sigmas" in given and type(scheduler).__name__ in EDM:
        given["sigmas"], given["num_inference_steps"] = torch.tensor(given["sigmas"]), len(given["sigmas"])
    scheduler.set_timesteps(**given)


def denoiser_of(scheduler: Any, network: nn.Module) -> Denoiser:
    schedule = gradbench.from_diffusers(scheduler)
    if type(scheduler).__name__ in EDM:
        return Preconditioned(network, schedule, scheduler)
    prediction = scheduler.config.get("prediction_type", "epsilon")
    flow = "prediction_type" not in scheduler.config
    return gradbench.NetworkDenoiser(network, schedule, kind="flow" if flow else KINDS[prediction])


def judge(cell: Cell) -> tuple[str, str]:
    """("served", sampler), ("refused", reason) or ("wrong", errors); ("not theirs", why) where diffusers has no such.

    To be called in double precision.
    """
    if cell.name in OTHERS:
        return refused_everywhere(cell)
    try:
        scheduler = CLASSES[cell.name](**cell.base, **cell.changed)
    except (ValueError, NotImplementedError) as error:
        return "not theirs", str(error)
    network = SmallNetwork(1.0 if cell.name in EDM or cell.changed.get("timestep_type") else 1000.0)
    x_T = normals(3, 6, seed=1).requires_grad_()
    try:
        sampler, grid = gradbench.sampler_for(scheduler), gradbench.grid_of(scheduler, **cell.call)
        if cell.name in EDM:
            x_T = (grid[0] * x_T).detach().requires_grad_()
        denoiser, noise = denoiser_of(scheduler, network), normals(len(grid) + 1, 3, 6, seed=2)
        given = {"noise": noise[: len(grid) - 1], "wrt": [network.weight]}
        ours = gradbench.sample(denoiser, x_T, sampler=sampler, grid=grid, **given)
    except ValueError as reason:
        return "refused", str(reason)
    scale = gradbench.latents_scale(scheduler, grid)
    end = denoiser.schedule.alpha(grid[-1]) if scale != 1.0 else 1.0
    set_theirs(scheduler, cell.call)
    expected = end * theirs(scheduler, network, x_T / scale, noise)
    if expected.isnan().any():  # as CosineDPMSolver's second-order rule over a last step of length 0
        return "not theirs", "the class's own loop gives NaN"
    pairs = [(ours, expected)]
    pairs += zip(*(torch.autograd.grad((x**2).sum(), (x_T, network.weight)) for x in (ours, expected)), strict=True)
    errors = [((a - b).norm() / b.norm()).item() for a, b in pairs]
    worst = max(math.inf if math.isnan(error) else error for error in errors)
    return ("served", sampler) if worst < TOLERANCE else ("wrong", f"{sampler}: x_0, dx_T, dw off by {errors}")


@lru_cache(None)
def judged(name: str, thorough: bool = False, betas: str = "") -> tuple[tuple[Cell, str, str], ...]:
    """Every cell of a class with its status and sampler or reason. betas: a key of `OTHER_BETAS`, or Stable
    Diffusion's.
    """
    with double_precision(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple((cell, *judge(cell)) for cell in cells(name, thorough, betas))


def refused_everywhere(cell: Cell) -> tuple[str, str]:
    """A class without a solver here must be refused by all three functions, in the same words."""
    made = CLASSES[cell.name].__new__(CLASSES[cell.name])
    said = set()
    for ask in (gradbench.from_diffusers, gradbench.sampler_for, lambda s: gradbench.grid_of(s, 4)):
        try:
            ask(made)
        except ValueError as reason:
            said.add(str(reason))
        else:
            return "wrong", "accepted"
    return ("refused", said.pop()) if len(said) == 1 else ("wrong", f"refused in several words: {said}")


def _axes(name: str) -> dict[str, tuple[Any, ...]]:
    """The options of a class, each with the values that are tried."""
    table = {
        "timestep_spacing": SPACINGS,
        "prediction_type": PREDICTIONS,
        "steps_offset": (1,),
        "set_alpha_to_one": (False,),
        "clip_sample": (True,),
        "thresholding": (True,),
        "rescale_betas_zero_snr": (True,),
        "variance_type": ("fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"),
        "interpolation_type": ("log_linear",),
        "final_sigmas_type": ("sigma_min",),
        "use_karras_sigmas": (True,),
        "use_exponential_sigmas": (True,),
        "use_beta_sigmas": (True,),
        "use_lu_lambdas": (True,),
        "solver_order": (1, 3),
        "solver_type": ("heun",),
        "algorithm_type": ("sde-dpmsolver++", "dpmsolver", "sde-dpmsolver"),
        "lower_order_final": (False,),
        "euler_at_final": (True,),
        "shift": (3.0,),
        "shift_terminal": (0.1,),
        "invert_sigmas": (True,),
        "stochastic_sampling": (True,),
        "use_dynamic_shifting": (True,),
        "sigma_schedule": ("exponential", "karras"),
        "snr_shift_scale": (1.0,),
        "skip_prk_steps": (True,),
        "eta": (0.0,),
        "sigma_max": (30.0,),
    }
    if name.startswith("DPMSolver"):
        table["variance_type"] = ("learned",)
    reads = inspect.signature(CLASSES[name].__init__).parameters
    return {key: values for key, values in table.items() if key in reads}


# pairs of options that change one another
PAIRS: dict[str, tuple[dict[str, Any], ...]] = {
    "EulerDiscreteScheduler": (
        {"use_karras_sigmas": True, "sigma_max": 30.0, "sigma_min": 0.01},
        {"use_karras_sigmas": True, "sigma_max": 700.0, "sigma_min": 0.002},
        {"timestep_type": "continuous", "prediction_type": "v_prediction"},
        {
            **{"timestep_type": "continuous", "prediction_type": "v_prediction", "use_karras_sigmas": True},
            **{"sigma_max": 700.0, "sigma_min": 0.002},
        },
        {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"},
        {"final_sigmas_type": "sigma_min", "timestep_spacing": "trailing"},
        {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"},
    ),
    "EulerAncestralDiscreteScheduler": (
        {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"},
    ),
    **dict.fromkeys(
        ("DDIMScheduler", "DDIMParallelScheduler", "CogVideoXDDIMScheduler", "DDPMScheduler", "DDPMParallelScheduler"),
        (
            {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"},
            {"rescale_betas_zero_snr": True, "prediction_type": "sample", "timestep_spacing": "linspace"},
            {"timestep_spacing": "leading", "steps_offset": 1},
            {"timestep_spacing": "trailing", "variance_type": "fixed_large"},
            {"timestep_spacing": "linspace", "set_alpha_to_one": False},
        ),
    ),
    "DPMSolverMultistepScheduler": (
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0},
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "solver_order": 1},
        {"prediction_type": "flow_prediction"},
        {"solver_order": 3, "final_sigmas_type": "sigma_min"},
        {"solver_order": 3, "use_karras_sigmas": True},
        {"solver_order": 3, "euler_at_final": True, "final_sigmas_type": "sigma_min"},
        {"solver_order": 3, "use_flow_sigmas": True, "prediction_type": "flow_prediction"},
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 1},
        {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
        {"algorithm_type": "sde-dpmsolver++", "euler_at_final": True, "final_sigmas_type": "sigma_min"},
        {"algorithm_type": "sde-dpmsolver", "solver_order": 1, "final_sigmas_type": "sigma_min"},
        {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"},
        {"algorithm_type": "dpmsolver", "solver_order": 1, "final_sigmas_type": "sigma_min"},
        {"algorithm_type": "dpmsolver", "final_sigmas_type": "sigma_min"},
        {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"},
        {"lower_order_final": False, "final_sigmas_type": "sigma_min"},
        {"euler_at_final": True, "final_sigmas_type": "sigma_min", "timestep_spacing": "trailing"},
        {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"},
        {"use_lu_lambdas": True, "final_sigmas_type": "sigma_min"},
        {"use_dynamic_shifting": True, "use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    ),
    "PNDMScheduler": (
        {"skip_prk_steps": True},
        {"skip_prk_steps": True, "timestep_spacing": "trailing"},
        {"skip_prk_steps": True, "timestep_spacing": "leading", "steps_offset": 1},
        {"skip_prk_steps": True, "set_alpha_to_one": True, "prediction_type": "v_prediction"},
    ),
    "UniPCMultistepScheduler": (
        {"solver_type": "bh1", "final_sigmas_type": "sigma_min"},
        {"solver_type": "bh1", "solver_order": 3, "final_sigmas_type": "sigma_min"},
        {"predict_x0": False, "final_sigmas_type": "sigma_min"},
        {"predict_x0": False, "solver_order": 3, "solver_type": "bh1", "final_sigmas_type": "sigma_min"},
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0},
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "solver_order": 3},
        {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"},
        {"disable_corrector": [0]},
    ),
    "DPMSolverSinglestepScheduler": (
        {"lower_order_final": True, "final_sigmas_type": "sigma_min"},
        {"use_karras_sigmas": True, "final_sigmas_type": "zero"},
        {"solver_order": 1, "algorithm_type": "sde-dpmsolver++"},
        {"solver_order": 1, "use_karras_sigmas": True},
    ),
    "DEISMultistepScheduler": (
        {"solver_order": 1, "use_karras_sigmas": True},
        {"solver_order": 3, "use_exponential_sigmas": True},
        {"solver_order": 3, "use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    ),
    "EDMDPMSolverMultistepScheduler": (
        {"algorithm_type": "sde-dpmsolver++", "solver_order": 1},
        {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"},
    ),
    "FlowMatchEulerDiscreteScheduler": (
        {"shift": 3.0, "use_karras_sigmas": True},
        {"use_dynamic_shifting": True, "shift_terminal": 0.02},
        {"use_dynamic_shifting": True, "time_shift_type": "linear"},
    ),
}
TABLED = {"clip_sample": False, **BETAS}
CALLS: dict[str, tuple[dict[str, Any], ...]] = {
    "DDPMScheduler": ({"timesteps": [900, 500, 300, 40, 0]}, {"timesteps": [900, 500, 300, 40]}),
    "DDPMParallelScheduler": ({"timesteps": [900, 500, 300, 40, 0]},),
    "EulerDiscreteScheduler": (
        {"sigmas": [14.0, 7.0, 2.0, 0.3, 0.0]},
        {"sigmas": [30.0, 7.0, 2.0, 0.3]},
        {"timesteps": [900, 500, 300, 40]},
        {"timesteps": [900.5, 500, 300, 0.25]},
    ),
    "HeunDiscreteScheduler": ({"timesteps": [900, 500, 300, 40]},),
    "DPMSolverMultistepScheduler": ({"timesteps": [900, 500, 300, 40]},),
    "DPMSolverSinglestepScheduler": ({"timesteps": [900, 500, 300, 40]},),
    "FlowMatchEulerDiscreteScheduler": (
        {"sigmas": [1.0, 0.7, 0.4, 0.1]},
        {"steps": 4, "sigmas": [1.0, 0.7, 0.4, 0.1]},
        {"sigmas": [1.0, 0.7, 0.4, 0.1], "timesteps": [1000, 600, 350, 90]},
        {"timesteps": [1000, 600, 350, 90]},
    ),
    "EDMEulerScheduler": ({"sigmas": [0.0, 0.3, 0.6, 1.0]},),
}


def bases(name: str, betas: str = "") -> dict[str, Any]:
    """What is not the class's default: no clip, and Stable Diffusion's betas or others."""
    reads = inspect.signature(CLASSES[name].__init__).parameters
    return {key: value for key, value in {**TABLED, **OTHER_BETAS.get(betas, {})}.items() if key in reads}


def cells(name: str, thorough: bool = False, betas: str = "") -> list[Cell]:
    """The combinations of a class that are tried: one option at a time, or with `thorough` two, at several steps."""
    if name in OTHERS:
        return [Cell(name, {}, {}, {"steps": 4})]
    base, axes = bases(name, betas), _axes(name)
    single = [{key: value} for key, values in axes.items() for value in values]
    sets: list[dict[str, Any]] = [{}, *single, *PAIRS.get(name, ())]
    if thorough:
        sets += [{**a, **b} for a, b in itertools.combinations(single, 2) if not set(a) & set(b)]
    reads = (
        set(axes)
        | set(bases(name))
        | {"sigma_min", "timestep_type", "flow_shift", "time_shift_type", "use_flow_sigmas"}
    )
    found = []
    for changed in sets:
        if not set(changed) <= reads:
            continue
        kept = {key: value for key, value in base.items() if key not in changed}
        counts = (7, 50) if thorough else (5, 28) if len(changed) < 2 else (10,)
        for steps in counts:
            call = {"steps": steps, **({"mu": 0.9} if changed.get("use_dynamic_shifting") else {})}
            found.append(Cell(name, kept, changed, call))
    if "use_dynamic_shifting" in axes:
        found.append(Cell(name, base, {"use_dynamic_shifting": True}, {"steps": 5}))
    if {"timestep_spacing", "steps_offset"} <= set(axes):  # one index beyond the table
        found.append(Cell(name, base, {"timestep_spacing": "leading", "steps_offset": 1}, {"steps": 1000}))
    found += [Cell(name, base, {}, call) for call in CALLS.get(name, ())]
    return found


def page() -> str:
    """The page: one row per class, supported ones first."""
    rows: dict[bool, list[str]] = {True: [], False: []}
    for name in CLASSES:
        served: dict[str, list[Cell]] = {}
        refused: dict[str, list[Cell]] = {}
        for cell, status, what in judged(name):
            if status == "served":
                served.setdefault(what, []).append(cell)
            elif status != "not theirs":
                refused.setdefault(_shortened(what, name) if status == "refused" else f"WRONG {what}", []).append(cell)
        told = [f"`{sampler}`: {_options(found)}" for sampler, found in served.items()]
        lines = []
        for reason, found in refused.items():
            every = sum(cell in found for cell, status, _ in judged(name) if status == "refused")
            lines.append(
                reason if not served and every > 1 or len(judged(name)) == 1 else f"{_options(found)}: {reason}"
            )
        row = [f"`{name}`", *(["<br>".join(told)] if served else []), "<br>".join(lines)]
        rows[bool(served)].append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n")
    return HEAD + "".join(rows[True]) + OTHER + "".join(rows[False])


def _shortened(reason: str, name: str) -> str:
    """A reason without the name of the class, which its row says."""
    for head in (
        f"scheduler {name} is not an ODE or SDE solver that gradbench supports: ",
        f"scheduler {name}: ",
        f"{name}: ",
    ):
        reason = reason.removeprefix(head)
    return reason.replace(f"scheduler {name} ", "it ").replace(f"{name} ", "it ")


def _options(found: list[Cell]) -> str:
    """The options that cells stand for, the values of each together."""
    alone: dict[str, list[str]] = {}
    pairs: dict[str, None] = {}
    for cell in found:
        given = [f"{key}={value}" for key, value in cell.changed.items()]
        listed = [f"custom {key}" for key in cell.call if key in ("sigmas", "timesteps")]
        if cell.call.get("steps") == 1000:
            listed = ["steps=1000"]
        if len(given) == 1 and not listed:
            ((key, value),) = cell.changed.items()
            values = alone.setdefault(key, [])
            values += [str(value)] * (str(value) not in values)
        elif given or listed:
            pairs[" and ".join(f"`{word}`" if "=" in word else word for word in [*given, *listed])] = None
        else:
            alone.setdefault("", [])
    words = [f"`{key}={'`, `'.join(values)}`" if key else "defaults" for key, values in alone.items()]
    return ", ".join([*words, *pairs])


HEAD = """# Schedulers of diffusers

Every scheduler class of the installed diffusers, with its options: which sampler takes the scheduler's own steps on the
grid from `gradbench.grid_of`, and what is refused, in the words of the refusal. This page is generated by
`python -m tests.conformance.scheduler_matrix`, and a test compares it. *Served* means that the sample and its gradients
with respect to the initial noise and to a weight of a small time-dependent network agree with automatic differentiation
through the scheduler's own loop in float64 to one in a million, at every number of steps tried (5 and 28, which do and
do not divide the table), with the same noise for stochastic schedulers. There is no third outcome: it would fail the
test. The betas are Stable Diffusion's, `scaled_linear` from 0.00085 to 0.012; a slow test repeats every combination
with `linear` and `scaled_linear` from 0.0001 to 0.02, `linear` from 0.00085 to 0.012, and `squaredcos_cap_v2`.

`gradbench.sampler_for(scheduler)` returns the sampler, and `gradbench.sample` uses it unless another is named. The
arguments of a scheduler's `step` (`eta`, `s_churn`) have their defaults here.

## Served

| scheduler | served, by which sampler | refused |
|---|---|---|
"""
OTHER = """
## Refused

Solvers of the same equation whose steps none of our samplers takes, for which you can name another sampler; and chains
that do not solve a diffusion's equation.

| scheduler | why, and what to use instead |
|---|---|
"""

if __name__ == "__main__":
    PAGE.write_text(page())
