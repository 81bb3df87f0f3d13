"""Schedules given as a table of cumulated alphas, and those of diffusers' schedulers, continuous in t."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gradbench.diffusion.grid import Grid
from gradbench.diffusion.schedule import Rectified, Schedule, VariancePreserving


@dataclass(frozen=True)
class Discrete(VariancePreserving):
    """A table of cumulated alphas, made continuous by a cubic spline of log alpha through the table and (0, 0).

    Index i of the table, 0..n-1, stands at t = (i + 1) / n, so that t = 0 is the clean end and table values are hit
    exactly. `t_of_log_alpha` inverts the spline by bracketed root finding to 1e-15.
    """

    alphas_cumprod: tuple[float, ...] = field(repr=False)
    steps_offset: int = 1
    name = "discrete"

    @property
    def train_steps(self) -> int:  # type: ignore[override]
        return len(self.alphas_cumprod)

    @cached_property
    def _spline(self) -> tuple[Callable[[float], float], Callable[[float], float]]:
        """log alpha and its derivative; values are kept, as a chain asks for those at its grid again and again."""
        import numpy as np
        from scipy.interpolate import CubicSpline

        n = len(self.alphas_cumprod)
        knots = np.append(0.0, (np.arange(n) + 1) / n)
        spline = CubicSpline(knots, np.append(0.0, 0.5 * np.log(np.array(self.alphas_cumprod))))
        slope = spline.derivative()
        return lru_cache(8192)(lambda t: min(0.0, float(spline(t)))), lru_cache(8192)(lambda t: float(slope(t)))

    def log_alpha(self, t: float) -> float:
        return self._spline[0](t)

    def dlog_alpha(self, t: float) -> float:
        return self._spline[1](t)

    def t_of_log_alpha(self, log_alpha: float) -> float:
        from scipy.optimize import brentq

        low, high = self.log_alpha(1.0), 0.0
        if not low < log_alpha < high:
            return 1.0 if log_alpha <= low else 0.0
        return brentq(lambda t: self.log_alpha(t) - log_alpha, 0.0, 1.0, xtol=1e-15, rtol=1e-15)  # type: ignore


def is_flow(scheduler: Any) -> bool:
    """Whether it is a scheduler of rectified flow, which steps in sigmas of its own instead of a table of alphas."""
    return "FlowMatch" in type(scheduler).__name__ or bool(getattr(scheduler, "config", {}).get("use_flow_sigmas"))


def from_diffusers(scheduler: Any) -> Schedule:
    """The schedule of a diffusers scheduler (or of a mapping with `alphas_cumprod`), continuous in t.

    A table is taken as it stands: diffusers computes it in float32, 6e-8 off the exact product; put a float64 table
    in its place first where that matters. Flow matching is `rectified`, whatever the scheduler's shift: that is one of
    the grid (`grid_of`).

    Raises `ValueError` for `clip_sample=True` or `thresholding=True`: a clipped step is another map, and its gradient
    is zero wherever the clip binds, which no estimator here can see; and for a schedule with alpha = 0 at its noisy
    end (`rescale_betas_zero_snr`), where the logarithm has no value; and for schedulers that scale a network's input
    and output themselves (EDM, consistency models), whose network is no plain one of (x, t).
    """
    config: Mapping[str, Any] = getattr(scheduler, "config", {})
    if is_flow(scheduler):
        return Rectified(train_steps=config["num_train_timesteps"])
    if not isinstance(scheduler, Mapping) and not hasattr(scheduler, "alphas_cumprod"):
        raise ValueError(
            f"scheduler {type(scheduler).__name__} has no alphas_cumprod: allowed are schedulers of a table of alphas "
            "(DDIM, DDPM, DPM-Solver, Euler, PNDM, UniPC ...) and of flow matching"
        )
    for refused in ("clip_sample", "thresholding"):
        if config.get(refused):
            raise ValueError(f"the scheduler has {refused}=True, which cuts gradients off: allowed is {refused}=False")
    table = scheduler["alphas_cumprod"] if isinstance(scheduler, Mapping) else scheduler.alphas_cumprod
    values = tuple(float(value) for value in table)
    if len(values) < 2 or not all(1 > a > b > 0 for a, b in zip(values, values[1:], strict=False)):
        raise ValueError(f"alphas_cumprod must decrease strictly inside (0, 1), got {values[:2]}..{values[-2:]}")
    return Discrete(values, steps_offset=int(config.get("steps_offset", 0)))


def grid_of(scheduler: Any, steps: int) -> Grid:
    """The times of a diffusers scheduler for N `steps`, with the end of its last step: N + 1 or fewer, decreasing.

    Index i stands at t = (i + 1) / train_steps, a flow's sigma at t = sigma. The end is t = 0 where the scheduler steps
    to alpha = 1, and index 0 where it does not (`set_alpha_to_one=False`, `final_sigmas_type="sigma_min"`). Where
    sigmas are spaced by a rule of their own (`use_karras_sigmas` and its like) the times are theirs,
    t_of_log_snr(-log sigma); the scheduler may tell its network rounded ones. A time that a scheduler visits twice, as
    those with several stages do, is one. The scheduler is left as it was. Raises `ValueError` for times that do not
    decrease.
    """
    own = copy.deepcopy(scheduler)
    own.set_timesteps(steps)
    if is_flow(scheduler):
        times = [float(sigma) for sigma in own.sigmas]
    else:
        n = len(own.alphas_cumprod)
        end = [0.0 if _reaches_one(own) else 1 / n]
        if any(own.config.get(f"use_{rule}_sigmas") for rule in ("karras", "exponential", "beta")):
            schedule = from_diffusers(own)
            times = [schedule.t_of_log_snr(-math.log(sigma)) for sigma in own.sigmas if sigma > 0] + end
        else:
            times = [(float(index) + 1) / n for index in own.timesteps] + end
    grid = tuple(t for k, t in enumerate(times) if not k or t != times[k - 1])
    if any(a <= b for a, b in zip(grid, grid[1:], strict=False)):
        raise ValueError(f"the times of {type(scheduler).__name__} with {steps} steps do not decrease: {times[:4]}...")
    return grid


def _reaches_one(scheduler: Any) -> bool:
    """Whether the last step goes to alpha = 1. A configuration also holds what another class of scheduler wrote there,
    so that the scheduler's own numbers are asked.
    """
    if hasattr(scheduler, "final_alpha_cumprod"):
        return float(scheduler.final_alpha_cumprod) == 1.0
    return not hasattr(scheduler, "sigmas") or float(scheduler.sigmas[-1]) == 0.0
