"""The sampler that reproduces a diffusers scheduler's chain, or the reason why none does."""

from collections.abc import Callable
from typing import Any

from gradbench.checks import UsageError
from gradbench.diffusion.discrete import from_diffusers
from gradbench.diffusion.schedulers import EDM, STAGED, known, option

NAME_ONE = "name a sampler of the same equation, such as sampler='ddim' or 'dpm++2m', on the scheduler's own grid"

NO_X0 = ("EulerAncestralDiscreteScheduler", *EDM)


def _ddpm(scheduler: Any) -> str:
    variance = option(scheduler, "variance_type")
    sizes = {"fixed_small": "small", "fixed_small_log": "small", "fixed_large": "large"}
    if variance not in sizes:
        raise UsageError(f"variance_type={variance!r} is not that of `ddpm`: allowed are {', '.join(sizes)}")
    return f"ddpm[variance={sizes[variance]}]"


def _dpm(scheduler: Any) -> str:
    order, algorithm = option(scheduler, "solver_order"), option(scheduler, "algorithm_type", "sde-dpmsolver++")
    single = known(scheduler) == "DPMSolverSinglestepScheduler"
    if option(scheduler, "variance_type") is not None:
        raise UsageError("a learned variance is split off the network's output by the scheduler: variance_type=None")
    if order == 1:
        names = {
            "dpmsolver++": "ddim",
            "dpmsolver": "ddim",
            "sde-dpmsolver++": "sde-dpm++1",
            "sde-dpmsolver": "sde-dpm1",
        }
        return names[algorithm]
    names = {"dpmsolver++": "dpm++2m", "sde-dpmsolver++": "sde-dpm++2m"}
    if order != 2 or algorithm not in names or single:
        what = f"algorithm_type={algorithm!r} of solver_order={order}" + (" by single steps" if single else "")
        raise UsageError(
            f"{what} matches none of the samplers: allowed are solver_order=1, and DPMSolverMultistepScheduler with "
            "solver_order=2 and algorithm_type='dpmsolver++' or 'sde-dpmsolver++'"
        )
    solver = option(scheduler, "solver_type", "midpoint")
    return names[algorithm] + (f"[solver={solver}]" if solver != "midpoint" else "")


def _ltx(scheduler: Any) -> str:
    if option(scheduler, "eta") != 0:
        raise UsageError("its noise is none of our samplers': allowed is eta=0, or sampler='flow-sde'")
    return "flow-euler"


def _deis(scheduler: Any) -> str:
    if option(scheduler, "solver_order") != 1:
        raise UsageError(f"DEIS of this order matches none of the samplers: solver_order=1 is ddim, or {NAME_ONE}")
    return "ddim"


def _none(scheduler: Any) -> str:
    raise UsageError(f"its step matches none of the samplers: {NAME_ONE}")


TABLE: dict[str, str | Callable[[Any], str]] = {
    "DDIMScheduler": "ddim",
    "DDIMParallelScheduler": "ddim",
    "CogVideoXDDIMScheduler": "ddim",
    "DDPMScheduler": _ddpm,
    "DDPMParallelScheduler": _ddpm,
    "EulerDiscreteScheduler": "ddim",
    "EDMEulerScheduler": "ddim",
    "EulerAncestralDiscreteScheduler": "ddim[eta=1]",
    "HeunDiscreteScheduler": "heun",
    "DPMSolverMultistepScheduler": _dpm,
    "DPMSolverSinglestepScheduler": _dpm,
    "EDMDPMSolverMultistepScheduler": _dpm,
    "CosineDPMSolverMultistepScheduler": _dpm,
    "DEISMultistepScheduler": _deis,
    "FlowMatchEulerDiscreteScheduler": "flow-euler",
    "FlowMatchHeunDiscreteScheduler": "heun[chart=time]",
    "LTXEulerAncestralRFScheduler": _ltx,
    **dict.fromkeys(("PNDMScheduler", "UniPCMultistepScheduler", "LMSDiscreteScheduler"), _none),
}


def sampler_for(scheduler: Any) -> str:
    """The selector of the sampler with the scheduler's own steps, on the grid that `grid_of` gives.

    DDIM and Euler schedulers map to `ddim`, ancestral Euler to `ddim[eta=1]`, DDPM to `ddpm`, second-order DPM-Solver++
    to `dpm++2m`, flow matching to `flow-euler` and `heun[chart=time]`. The arguments of a scheduler's `step` (`eta`,
    `s_churn`) are unknown here and taken at their defaults. Raises `ValueError`, with alternatives, if no sampler fits.
    """
    from_diffusers(scheduler)
    name = known(scheduler)
    owner = f"scheduler {type(scheduler).__name__}"
    if name in STAGED:
        raise UsageError(f"{owner}: {STAGED[name]}")
    if name not in TABLE:
        raise UsageError(f"{owner} has steps that are not known: {NAME_ONE}")
    if option(scheduler, "prediction_type") == "sample" and name in NO_X0:
        raise UsageError(f"{owner} does not know prediction_type='sample': allowed are epsilon and v_prediction")
    found = TABLE[name]
    if isinstance(found, str):
        return found
    try:
        return found(scheduler)
    except ValueError as reason:
        raise UsageError(f"{owner}: {reason}") from None
