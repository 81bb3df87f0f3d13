"""Schedules given as a table of cumulated alphas, and those of diffusers' schedulers, continuous in t."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gradbench.diffusion.schedule import VariancePreserving


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


def from_diffusers(scheduler: Any) -> Discrete:
    """The schedule of a diffusers scheduler (or of a mapping with `alphas_cumprod`), continuous in t.

    The table is taken as it stands: diffusers computes it in float32, 6e-8 off the exact product; put a float64 table
    in its place first where that matters.

    Raises `ValueError` for `clip_sample=True` or `thresholding=True`: a clipped step is another map, and its gradient
    is zero wherever the clip binds, which no estimator here can see; and for a schedule with alpha = 0 at its noisy
    end (`rescale_betas_zero_snr`), where the logarithm has no value.
    """
    config: Mapping[str, Any] = getattr(scheduler, "config", {})
    for refused in ("clip_sample", "thresholding"):
        if config.get(refused):
            raise ValueError(f"the scheduler has {refused}=True, which cuts gradients off: allowed is {refused}=False")
    table = scheduler["alphas_cumprod"] if isinstance(scheduler, Mapping) else scheduler.alphas_cumprod
    values = tuple(float(value) for value in table)
    if len(values) < 2 or not all(1 > a > b > 0 for a, b in zip(values, values[1:], strict=False)):
        raise ValueError(f"alphas_cumprod must decrease strictly inside (0, 1), got {values[:2]}..{values[-2:]}")
    return Discrete(values, steps_offset=int(config.get("steps_offset", 0)))
