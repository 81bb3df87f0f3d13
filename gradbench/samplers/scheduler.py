"""The sampler that reproduces a diffusers scheduler's chain, or the reason why none does."""

from collections.abc import Callable
from typing import Any

from gradbench.checks import UsageError
from gradbench.diffusion.discrete import from_diffusers
from gradbench.diffusion.schedulers import EDM, STAGED, known, option

NAME_ONE = "name a sampler of the same equation, such as sampler='ddim' or 'dpm++2m', on the scheduler's own grid"

NO_X0 = ("EulerAncestralDiscreteScheduler", "KDPM2DiscreteScheduler", *EDM)


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
    if (order, algorithm, single) == (3, "dpmsolver++", False):
        return "dpm++3m"
    if (order, algorithm, single) == (2, "dpmsolver++", True):
        if not option(scheduler, "lower_order_final") and option(scheduler, "final_sigmas_type") != "zero":
            raise UsageError("a last step of second order matches none of the samplers: lower_order_final=True")
        if option(scheduler, "solver_type") != "midpoint":
            raise UsageError("allowed is solver_type='midpoint'")
        return "dpm++2s"
    names = {
        "dpmsolver++": "dpm++2m",
        "sde-dpmsolver++": "sde-dpm++2m",
        "dpmsolver": "dpm2m",
        "sde-dpmsolver": "sde-dpm2m",
    }
    if order != 2 or algorithm not in names or single:
        what = f"algorithm_type={algorithm!r} of solver_order={order}" + (" by single steps" if single else "")
        raise UsageError(
            f"{what} matches none of the samplers: allowed are solver_order=1, and DPMSolverMultistepScheduler with "
            "solver_order=2 or algorithm_type='dpmsolver++' of solver_order=3"
        )
    solver = option(scheduler, "solver_type", "midpoint")
    return names[algorithm] + (f"[solver={solver}]" if solver != "midpoint" else "")


def _ltx(scheduler: Any) -> str:
    if option(scheduler, "eta") != 0:
        raise UsageError("its noise is none of our samplers': allowed is eta=0, or sampler='flow-sde'")
    return "flow-euler"


def _deis(scheduler: Any) -> str:
    order = option(scheduler, "solver_order")
    return "ddim" if order == 1 else f"deis[order={order}]"


def _unipc(scheduler: Any) -> str:
    order, solver, final = (option(scheduler, name) for name in ("solver_order", "solver_type", "final_sigmas_type"))
    chart = "data" if option(scheduler, "predict_x0") else "noise"
    if option(scheduler, "solver_p") is not None or option(scheduler, "disable_corrector"):
        raise UsageError(
            "a predictor of another scheduler and steps without a corrector match no sampler: solver_p=None"
        )
    if not option(scheduler, "lower_order_final"):
        raise UsageError("a last step of a higher order matches no sampler: lower_order_final=True")
    if final == "zero" and (solver == "bh1" or chart == "noise"):
        raise UsageError(
            f"its last step to sigma = 0 is not a number with solver_type={solver!r} and predict_x0={chart == 'data'}: "
            "final_sigmas_type='sigma_min', or solver_type='bh2' with predict_x0=True"
        )
    if order not in (1, 2, 3):
        raise UsageError(f"allowed are solver_order=1, 2 and 3, got {order}")
    return f"unipc[order={order},solver={solver},chart={chart}]"


def _flow(scheduler: Any) -> str:
    return "cps[eta=1]" if option(scheduler, "stochastic_sampling") else "flow-euler"


def _flow_lcm(scheduler: Any) -> str:
    if option(scheduler, "scale_factors"):
        raise UsageError("it samples in stages of growing resolution: scale_factors=None")
    return "cps[eta=1]"


def _lcm(scheduler: Any) -> str:
    scaling = option(scheduler, "timestep_scaling")
    return "lcm" if scaling == 10 else f"lcm[scaling={scaling}]"


def _pndm(scheduler: Any) -> str:
    if option(scheduler, "prediction_type") != "epsilon":
        raise UsageError("it averages other outputs than eps over times: allowed is prediction_type='epsilon'")
    return "pndm"


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
    "FlowMatchEulerDiscreteScheduler": _flow,
    "FlowMatchLCMScheduler": _flow_lcm,
    "LCMScheduler": _lcm,
    "TCDScheduler": "tcd",
    "FlowMatchHeunDiscreteScheduler": "heun[chart=time]",
    "LTXEulerAncestralRFScheduler": _ltx,
    "UniPCMultistepScheduler": _unipc,
    "LMSDiscreteScheduler": "lms",
    "PNDMScheduler": _pndm,
    "KDPM2DiscreteScheduler": "kdpm2",
}


def sampler_for(scheduler: Any) -> str:
    """The selector of the sampler with the scheduler's own steps, on the grid that `grid_of` gives.

    DDIM and Euler schedulers map to `ddim`, ancestral Euler to `ddim[eta=1]`, DDPM to `ddpm`, DPM-Solver's to
    `dpm++2m`, `dpm2m`, `dpm++3m` and `dpm++2s`, UniPC, DEIS, LMS, PNDM, KDPM2, LCM and TCD to those of their names,
    flow matching to `flow-euler`, `heun[chart=time]` and, where it draws noise, `cps[eta=1]`. The arguments of a
    scheduler's `step` (`eta`, `s_churn`) are unknown here and taken at their defaults. Raises `ValueError`, with
    alternatives, if no sampler fits.
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
