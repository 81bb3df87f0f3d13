"""The time input of a network: every convention in use, as a function of the schedule and t.

A time of a scheduler's grid may carry the scheduler's own timestep (`t.told`). If so, the network takes that, rounded
as the scheduler rounds it, as in a pipeline.
"""

import math
from collections.abc import Callable

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.schedule import Rectified, Schedule, VarianceExploding

Told = str | Callable[[float], float]


def _index(schedule: Schedule, t: float) -> float:
    own = getattr(t, "told", None)
    return schedule.index(t) if own is None else float(own)


def _clock(schedule: Schedule, t: float) -> float:
    """t, or a flow scheduler's own timestep divided by train_steps."""
    own = getattr(t, "told", None)
    return float(t) if own is None or not isinstance(schedule, Rectified) else float(own) / schedule.train_steps


CONVENTIONS: dict[str, Callable[[Schedule, float], float]] = {
    "index": _index,
    "1000 t": lambda schedule, t: schedule.train_steps * _clock(schedule, t),
    "t": _clock,
    "1 - t": lambda schedule, t: 1 - _clock(schedule, t),
    "log(sigma)/4": lambda schedule, t: -schedule.log_snr(t) / 4,
}


def check_told(told: Told | None, schedule: Schedule) -> Told:
    """A known convention or a function; by default the index, or log(sigma)/4 on `ve`. `ValueError` for others."""
    if told is None:
        return "log(sigma)/4" if isinstance(schedule, VarianceExploding) else "index"
    if callable(told):
        return told
    return checks.one_of("told", told, CONVENTIONS)


def time_told(told: Told, schedule: Schedule, t: float) -> float:
    """The time input of the network at t:

        index           the scheduler's timestep: train_steps t - 1 on a table of alphas, train_steps t on a flow
        1000 t          train_steps t
        t, 1 - t
        log(sigma)/4    c_noise, with sigma / alpha for sigma

    or told(t). `ValueError` if it is not finite. References: Karras et al., 2022, arXiv:2206.00364, table 1 (c_noise).
    """
    value = float(told(t)) if callable(told) else CONVENTIONS[told](schedule, t)
    if not math.isfinite(value):
        raise UsageError(f"the network receives {value} for t = {float(t):g} (told={told!r}): end the grid before it")
    return value
