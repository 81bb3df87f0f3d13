"""The times at which a diffusers scheduler takes its steps, as a grid in the time of its schedule."""

import copy
import inspect
import math
from collections.abc import Sequence
from typing import Any

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.discrete import from_diffusers
from gradbench.diffusion.grid import Grid, Stop
from gradbench.diffusion.schedule import Schedule
from gradbench.diffusion.schedulers import (
    CHAINED,
    EDM,
    HALVED,
    MULTISTEP,
    PAIRED,
    SCALED,
    STAGED,
    STRIDED,
    TO_FIRST,
    known,
    option,
)

FLOAT32 = 2.0**-23


def grid_of(
    scheduler: Any,
    steps: int | None = None,
    *,
    sigmas: Sequence[float] | None = None,
    timesteps: Sequence[float] | None = None,
    mu: float | None = None,
) -> Grid:
    """The step times of a diffusers scheduler for N `steps`, and the end of the last step: exactly as in its `step`.

    Index i of a table is at t = (i + 1) / train_steps. A sigma that is not in the table (Karras or exponential spacing,
    between two entries, or beyond the table) is at the time when the schedule reaches it, t_of_log_snr(-log sigma). A
    flow's sigma is at t = sigma. A time is a `Stop` where the scheduler passes its network a number other than
    schedule.index(t), or where a step does not end at the start of the next one: DDIM's stride of train_steps // N does
    this when N does not divide the table. A last step of length zero is omitted. sigmas, timesteps, mu: as for the
    scheduler's own `set_timesteps`, instead of N or with it. The scheduler is not changed.

    Raises `ValueError` for a scheduler that solves no ODE or SDE of gradbench; for one whose timesteps include stages
    between its steps (KDPM2); for a timestep beyond the table; for times that do not decrease; for a missing mu under
    `use_dynamic_shifting`; and for arguments that its `set_timesteps` refuses or does not have.
    """
    schedule, name = from_diffusers(scheduler), known(scheduler)
    if name in STAGED:
        raise UsageError(f"scheduler {name} has no grid of its steps: {STAGED[name]}")
    if name is None:
        raise UsageError(
            f"scheduler {type(scheduler).__name__} has methods of its own, and its steps are not known: allowed are "
            "the classes of diffusers, and for these times a list of one's own, grid=[...]"
        )
    own = _set(scheduler, steps, sigmas, timesteps, mu)
    if name in STRIDED or name in CHAINED or name == "PNDMScheduler":
        return _of_indices(own, name, schedule)
    if getattr(own, "sigmas", None) is None:
        raise UsageError(
            f"scheduler {name} has neither indices nor sigmas that are known: grid=[...] takes a list of times"
        )
    return _of_sigmas(own, name, schedule)


def latents_scale(scheduler: Any, grid: Grid) -> float:
    """c in x_T = c * latents, which converts a scheduler's latents to the scale of `gradbench.sample`.

    That scale is the schedule's own, x_T = alpha x_0 + sigma eps at grid[0], of unit scale where alpha^2 + sigma^2 = 1.
    Euler's and Heun's schedulers store x / alpha, so c = alpha(grid[0]); for all others c = 1. A pipeline starts from
    init_noise_sigma * noise, so its x_T is latents_scale(scheduler, grid) * scheduler.init_noise_sigma * noise, with
    init_noise_sigma read after set_timesteps: `PipelineParts.noise` is that x_T, and `noise_scale` the factor.

    The sample is x_0 = latents_scale(scheduler, grid[-1:]) * the scheduler's last latents. That factor is 1 but where
    the grid ends at a positive sigma: `final_sigmas_type="sigma_min"` leaves Euler's at x_0 / alpha(grid[-1]).

    Raises `ValueError` for a scheduler with methods of its own, whose scale is not known.
    """
    schedule, name = from_diffusers(scheduler), known(scheduler)
    if name is None:
        raise UsageError(
            f"scheduler {type(scheduler).__name__} has methods of its own, and the scale of its latents is not known: "
            "allowed are the classes of diffusers"
        )
    return schedule.alpha(grid[0]) if name in SCALED else 1.0


def noise_scale(scheduler: Any) -> float:
    """c in x_T = c z, with which a pipeline of this scheduler starts from its `latents=z`, z standard normal.

    c = alpha_T init_noise_sigma at the scheduler's own first time: sigma_max for EDM, sigma_T for Euler with
    `linspace` and `trailing` spacing, and 1 for Euler with `leading` and for DDIM, DPM-Solver and flow matching. With
    times of one's own it is `latents_scale` times init_noise_sigma.
    """
    if known(scheduler) not in SCALED:
        return 1.0
    own = _set(scheduler, 10, None, None, None)
    first = float(own.sigmas[0])
    c = float(own.init_noise_sigma) * (1.0 if known(scheduler) in EDM else 1 / math.hypot(1.0, first))
    return c if abs(c - 1) > 8 * FLOAT32 else 1.0


def _set(scheduler: Any, steps: int | None, sigmas: Any, timesteps: Any, mu: float | None) -> Any:
    """A copy of the scheduler after its own `set_timesteps`."""
    import torch

    name = type(scheduler).__name__
    if option(scheduler, "use_dynamic_shifting") and mu is None:
        raise UsageError(
            f"{name} shifts its times by the size of the image (use_dynamic_shifting=True): give mu=..., which is "
            "base_shift + (max_shift - base_shift) (L - base_image_seq_len) / (max_image_seq_len - base_image_seq_len) "
            "for L image tokens"
        )
    if steps is None and sigmas is None and timesteps is None:
        raise UsageError("grid_of must be given a number of steps, sigmas or timesteps")
    takes = inspect.signature(scheduler.set_timesteps).parameters
    given: dict[str, Any] = {} if mu is None else {"mu": mu}
    given |= {key: list(value) for key, value in (("sigmas", sigmas), ("timesteps", timesteps)) if value is not None}
    for key, value in given.items():
        if key != "mu" and not value:
            raise UsageError(f"{key} must hold at least one, got []")
        if key not in takes:
            raise UsageError(f"{name} takes no {key}: its set_timesteps has {', '.join(takes)}")
    if steps is not None:
        steps = checks.positive_integer("steps", steps)
        listed = sigmas if sigmas is not None else timesteps
        if listed is None or ("FlowMatch" in name and len(listed) == steps):
            given["num_inference_steps"] = steps
        elif len(listed) != steps + (sigmas is not None and "FlowMatch" not in name and known(scheduler) not in EDM):
            raise UsageError(f"steps must be that of the times listed, {len(listed)}, or left out, got {steps}")
    if sigmas is not None and known(scheduler) in EDM:
        given["sigmas"], given["num_inference_steps"] = torch.tensor(given["sigmas"]), len(given["sigmas"])
    own = copy.deepcopy(scheduler)
    try:
        own.set_timesteps(**given)
    except Exception as error:
        raise UsageError(f"{name}.set_timesteps: {' '.join(str(error).split())}") from None
    return own


def _of_indices(own: Any, name: str, schedule: Schedule) -> Grid:
    """Steps between table indices: from each to the next, or down by a fixed stride."""
    n, indices = schedule.train_steps, [int(index) for index in own.timesteps]
    if name == "PNDMScheduler":
        if not own.config.skip_prk_steps:
            raise UsageError(
                "PNDMScheduler takes Runge-Kutta stages first: allowed is skip_prk_steps=True, or "
                "DDIMScheduler.from_config(scheduler.config)"
            )
        indices = list(dict.fromkeys(indices))  # its second timestep occurs twice
    _inside(name, indices, n)
    to_one = name not in TO_FIRST and (name in CHAINED or float(own.final_alpha_cumprod) == 1.0)
    first = 0.0 if to_one else 1 / n
    if name in CHAINED:
        ends = [(index + 1) / n for index in indices[1:]] + [first]
    else:
        stride = own.config.num_train_timesteps // own.num_inference_steps
        ends = [(index - stride + 1) / n if index >= stride else first for index in indices]
    times = [(index + 1) / n for index in indices]
    return _grid(name, schedule, times, [float(index) for index in indices], ends, [None] * len(times))


def _of_sigmas(own: Any, name: str, schedule: Schedule) -> Grid:
    """Steps between sigmas; the network takes the timesteps as its time."""
    sigmas, told = ([float(value) for value in values] for values in (own.sigmas, own.timesteps))
    # if the end is the only spare sigma, a loop that skips the first step fails at its last one
    spare = len(sigmas) - len(told)
    if name in PAIRED:
        sigmas, told = sigmas[:1] + sigmas[1::2], told[:1] + told[1::2]
    stages: list[float | None] = [None] * len(told)
    if name in HALVED:
        stages = [*told[1::2], None]
        sigmas, told = sigmas[:1] + sigmas[1::2], told[::2]
    sigmas = sigmas[: len(told) + 1]
    told = told[: len(sigmas) - 1]
    if option(own, "invert_sigmas"):
        raise UsageError(
            f"{name} with invert_sigmas=True runs from 1 - t = 0 up: use invert_sigmas=False, and a network that "
            "receives 1 - t and whose output is negated"
        )
    if not all(math.isfinite(value) for value in (*sigmas, *told)) or min(sigmas) < 0:
        raise UsageError(f"the sigmas of {name} must be finite and >= 0, got {sigmas[:2]}..{sigmas[-2:]}")
    if told.count(told[0]) > 1 and spare > 1:
        raise UsageError(
            f"{name} has its first timestep {told[0]:g} twice, and skips the first step where it is told by timestep: "
            "take fewer steps, or timesteps that differ"
        )
    if schedule.name == "discrete":
        _inside(name, told, schedule.train_steps)
    exact = 4 * (FLOAT32 if own.sigmas.dtype.itemsize == 4 else 2.0**-52)
    times = [_time(schedule, *pair, exact) for pair in zip(sigmas, [*told, None], strict=True)]
    low: list[int | None] = [None] * len(told)
    if name in MULTISTEP or name in EDM:
        few = option(own, "lower_order_final") and len(told) < 15
        if few and len(told) > 1:
            low[-2] = 2
        if option(own, "euler_at_final") or few:
            low[-1] = 1
    return _grid(name, schedule, times[:-1], told, times[1:], low, stages)


def _time(schedule: Schedule, sigma: float, told: float | None, exact: float) -> float:
    """The time of a scheduler's sigma, which is sigma / alpha for VP schedulers and sigma for the others."""
    if schedule.name in ("rectified", "ve"):
        return min(sigma, schedule.t_end) if sigma < schedule.t_end * (1 + 1e-6) else sigma
    if sigma == 0:
        return 0.0
    if told is not None and schedule.name == "discrete" and told == int(told):
        t = (told + 1) / schedule.train_steps
        if abs(math.log(sigma) + schedule.log_snr(t)) < exact:  # an entry of the table, up to rounding
            return t
    t = schedule.t_of_log_snr(-math.log(sigma))
    if abs(schedule.log_snr(t) + math.log(sigma)) > 1e-6:
        raise UsageError(
            f"sigma = {sigma:g} lies beyond what the schedule can be carried on to: sigma_max must be less"
        )
    return t


def _inside(name: str, told: Sequence[float], n: int) -> None:
    for index in told:
        if not 0 <= index <= n - 1:
            raise UsageError(
                f"{name} has a timestep {index:g} beyond its table of {n}: take fewer steps, or a smaller steps_offset"
            )


def _grid(
    name: str,
    schedule: Schedule,
    times: list[float],
    told: list[float],
    ends: list[float],
    low: list[int | None],
    stages: Sequence[float | None] = (),
) -> Grid:
    """The grid of these times, with `Stop`s where they carry more than t and without a last step of length zero."""
    if len(times) > 1 and ends[-1] >= times[-1]:
        times, told, ends, low = times[:-1], told[:-1], ends[:-1], low[:-1]
    nexts = [*times[1:], ends[-1]]
    if any(a <= b for a, b in zip(times, nexts, strict=True)) or any(a <= b for a, b in zip(times, ends, strict=True)):
        raise UsageError(
            f"the times of {name} with {len(times)} steps do not decrease: {[round(t, 6) for t in times[:4]]}..., take "
            "fewer steps"
        )
    grid: list[float] = []
    stages = stages or [None] * len(times)
    for t, index, end, after, most, stage in zip(times, told, ends, nexts, low, stages, strict=False):
        same = abs(index - schedule.index(t)) <= FLOAT32 * max(abs(index), 1.0)
        said = (None if same else index, None if end == after else end, most, stage)
        grid.append(Stop(t, *said) if any(value is not None for value in said) else t)
    return (*grid, nexts[-1])
