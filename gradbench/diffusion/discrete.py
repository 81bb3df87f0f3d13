"""Continuous-time schedules from a table of cumulative alphas and from diffusers' schedulers."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gradbench.checks import UsageError
from gradbench.diffusion.schedule import Rectified, Schedule, Trigonometric, VarianceExploding, VariancePreserving
from gradbench.diffusion.schedulers import EDM, is_flow, known, option, refuse_other


@dataclass(frozen=True)
class Discrete(VariancePreserving):
    """A table of cumulative alphas, made continuous by a cubic spline of log alpha through the table and (0, 0).

    Index i of the table, 0..n-1, is at t = (i + 1) / n, so t = 0 is the clean end, and the spline reproduces the table
    exactly. `t_of_log_alpha` inverts the spline by bracketed root finding to 1e-15. Beyond the table, log alpha is
    extrapolated with its final slope up to t = 2, for schedulers with larger sigmas than the table's. A last entry of 0
    (zero terminal SNR) is no knot: alpha falls to 0 from the entry before it along a parabola with a continuous slope.
    Where the cubic spline rises, as before the last entry of Euler's zero terminal SNR, 2^-24 in place of 0, the table
    has a monotone one (PCHIP).
    """

    alphas_cumprod: tuple[float, ...] = field(repr=False)
    steps_offset: int = 1
    name = "discrete"

    @property
    def train_steps(self) -> int:  # type: ignore[override]
        return len(self.alphas_cumprod)

    @property
    def t_limit(self) -> float:
        return 2.0 if self._edge == 1.0 else 1.0

    @cached_property
    def _edge(self) -> float:
        """The last time at which the spline gives log alpha."""
        return 1.0 if self.alphas_cumprod[-1] else (self.train_steps - 1) / self.train_steps

    @cached_property
    def _spline(self) -> tuple[Callable[[float], float], Callable[[float], float]]:
        """log alpha and its derivative; values are cached, because a chain evaluates them at its grid repeatedly."""
        import numpy as np
        from scipy.interpolate import CubicSpline, PchipInterpolator

        table = np.array(self.alphas_cumprod)
        n, table = len(table), table[table > 0]
        knots, values = np.append(0.0, (np.arange(len(table)) + 1) / n), np.append(0.0, 0.5 * np.log(table))
        spline = CubicSpline(knots, values)
        if spline.derivative()(np.linspace(0, knots[-1], 8 * n + 1)).max() > 0:
            spline = PchipInterpolator(knots, values)
        slope = spline.derivative()
        return lru_cache(8192)(lambda t: min(0.0, float(spline(t)))), lru_cache(8192)(lambda t: float(slope(t)))

    @cached_property
    def _parabola(self) -> tuple[float, float]:
        """(b, c) of alpha = b (1 - t) + c (1 - t)^2 beyond the edge; value and slope are continuous at the edge."""
        width, alpha = 1 - self._edge, math.exp(self._spline[0](self._edge))
        slope = alpha * self._spline[1](self._edge)
        return 2 * alpha / width + slope, -(alpha / width + slope) / width

    def _to_zero(self, t: float) -> tuple[float, float]:
        """alpha and its derivative beyond the edge of a table that ends at 0."""
        b, c = self._parabola
        return (1 - t) * (b + c * (1 - t)), -b - 2 * c * (1 - t)

    def log_alpha(self, t: float) -> float:
        if t <= self._edge:
            return self._spline[0](t)
        if self._edge == 1.0:
            return self._spline[0](1.0) + (t - 1.0) * self._spline[1](1.0)
        return math.log(self._to_zero(t)[0]) if t < 1 else -math.inf

    def dlog_alpha(self, t: float) -> float:
        if t <= self._edge or self._edge == 1.0:
            return self._spline[1](min(t, 1.0))
        alpha, slope = self._to_zero(t)
        return slope / alpha if t < 1 else -math.inf

    def dalpha(self, t: float) -> float:
        return self._to_zero(t)[1] if t > self._edge and self._edge < 1.0 else super().dalpha(t)

    def dsigma(self, t: float) -> float:
        return -self.alpha(t) * self.dalpha(t) / self.sigma(t) if t > self._edge else super().dsigma(t)

    def log_snr(self, t: float) -> float:
        return super().log_snr(t) if self.alpha(t) else -math.inf

    def t_of_log_alpha(self, log_alpha: float) -> float:
        from scipy.optimize import brentq

        low = self.log_alpha(self.t_limit)
        if not low < log_alpha < 0.0:
            return self.t_limit if log_alpha <= low else 0.0
        return brentq(lambda t: max(self.log_alpha(t), -1e9) - log_alpha, 0.0, self.t_limit, xtol=1e-15, rtol=1e-15)  # type: ignore


def from_diffusers(scheduler: Any) -> Schedule:
    """The continuous-time schedule of a diffusers scheduler, or of a mapping with `alphas_cumprod`.

    A table is used as it is. diffusers computes it in float32, 6e-8 off the exact product; where that matters, replace
    it with a float64 table first. A last entry of 0 (`rescale_betas_zero_snr`) is alpha = 0 at t = 1. Flow matching is
    `rectified`, whatever the scheduler's shift, which belongs to the grid (`grid_of`). EDM's schedulers have alpha = 1
    and sigma = t up to their sigma_max. `timestep_type="continuous"` with v-prediction is `trigonometric`, whose
    networks take log(sigma / alpha) / 4 as their time.

    Raises `ValueError`, with an alternative, for a scheduler that solves no ODE or SDE of gradbench (LCM, TCD,
    SA-Solver, RePaint, `stochastic_sampling` ...); for `clip_sample=True` or `thresholding=True`, because a clipped
    step is a different map with zero gradient wherever the clip is active, which no estimator here can detect; and for
    schedulers without a table.
    """
    if isinstance(scheduler, type):
        raise UsageError(
            f"scheduler must be an instance, got the class {scheduler.__name__}: give "
            f"{scheduler.__name__}.from_config(pipe.scheduler.config), or {scheduler.__name__}(...)"
        )
    if not isinstance(scheduler, Mapping):
        refuse_other(scheduler)
        if known(scheduler) in EDM:
            return VarianceExploding(t_end=float(scheduler.config["sigma_max"]))
        if is_flow(scheduler):
            return Rectified(train_steps=scheduler.config["num_train_timesteps"])
        if told_log_sigma(scheduler):
            return Trigonometric()
        if not hasattr(scheduler, "alphas_cumprod"):
            raise UsageError(
                f"scheduler {type(scheduler).__name__} has no alphas_cumprod: allowed are schedulers of a table of "
                "alphas (DDIM, DDPM, DPM-Solver, Euler, PNDM, UniPC ...), of flow matching and of EDM"
            )
    config: Mapping[str, Any] = getattr(scheduler, "config", {})
    table = scheduler["alphas_cumprod"] if isinstance(scheduler, Mapping) else scheduler.alphas_cumprod
    values = tuple(float(value) for value in table)
    falls = all(1 > a > b for a, b in zip(values, values[1:], strict=False))
    if option(scheduler, "rescale_betas_zero_snr") and values[-1] >= values[-2]:
        raise UsageError(
            f"rescale_betas_zero_snr=True gives {type(scheduler).__name__} a last alphas_cumprod of {values[-1]:.2g} "
            f"in place of 0, above the one before it, {values[-2]:.2g}: allowed are rescale_betas_zero_snr=False, a "
            "smaller beta_end, and DDIMScheduler.from_config(scheduler.config)"
        )
    if len(values) < 3 or not falls or values[-1] < 0:
        raise UsageError(
            "alphas_cumprod must decrease strictly inside (0, 1), its last entry may be 0, got "
            f"{values[:2]}..{values[-2:]}"
        )
    return Discrete(values, steps_offset=int(config.get("steps_offset", 0)))


def told_log_sigma(scheduler: Any) -> bool:
    """Whether the scheduler's network takes log(sigma / alpha) / 4 as its time, as in Stable Video Diffusion."""
    continuous = option(scheduler, "timestep_type") == "continuous"
    return continuous and option(scheduler, "prediction_type") == "v_prediction"
