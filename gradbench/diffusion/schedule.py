"""Noise schedules: x_t = alpha(t) x_0 + sigma(t) eps, with t in [0, 1] and t = 1 the noisy end.

All are scalar functions of a Python float in float64: coefficients never enter a tape, and the same schedule serves a
network in half precision, a float64 reference and a run without memory. `log_snr` is lambda = log(alpha / sigma),
half of log(alpha^2 / sigma^2).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from gradbench import checks
from gradbench.selector import parse


class Schedule(ABC):
    """alpha and sigma as functions of time, their derivatives, and the inverse of the log signal-to-noise ratio."""

    name: str
    train_steps: int = 1000  # the number of discrete times that networks of this schedule count in
    steps_offset: int = 1  # added to the indices of the `leading` grid, as Stable Diffusion's configuration does

    @abstractmethod
    def alpha(self, t: float) -> float:
        """Scale of the signal, > 0 but perhaps at t = 1."""

    @abstractmethod
    def sigma(self, t: float) -> float:
        """Standard deviation of the noise, > 0 but perhaps at t = 0."""

    @abstractmethod
    def dalpha(self, t: float) -> float:
        """d alpha / dt."""

    @abstractmethod
    def dsigma(self, t: float) -> float:
        """d sigma / dt; infinite where sigma vanishes like a square root."""

    @abstractmethod
    def log_snr(self, t: float) -> float:
        """lambda(t) = log(alpha / sigma), decreasing; infinite at an end where sigma or alpha vanishes."""

    @abstractmethod
    def t_of_log_snr(self, log_snr: float) -> float:
        """The inverse of `log_snr`."""


class VariancePreserving(Schedule):
    """alpha^2 + sigma^2 = 1: everything follows from log alpha, its derivative and its inverse."""

    @abstractmethod
    def log_alpha(self, t: float) -> float:
        """log alpha(t), 0 at t = 0."""

    @abstractmethod
    def dlog_alpha(self, t: float) -> float:
        """f(t) = d log alpha / dt, the linear drift of the forward process."""

    @abstractmethod
    def t_of_log_alpha(self, log_alpha: float) -> float:
        """The inverse of `log_alpha`."""

    def alpha(self, t: float) -> float:
        return math.exp(self.log_alpha(t))

    def sigma(self, t: float) -> float:
        return math.sqrt(-math.expm1(2 * self.log_alpha(t)))

    def dalpha(self, t: float) -> float:
        return self.alpha(t) * self.dlog_alpha(t)

    def dsigma(self, t: float) -> float:
        sigma = self.sigma(t)
        return -(self.alpha(t) ** 2) * self.dlog_alpha(t) / sigma if sigma else math.inf

    def log_snr(self, t: float) -> float:
        sigma = self.sigma(t)
        return self.log_alpha(t) - math.log(sigma) if sigma else math.inf

    def t_of_log_snr(self, log_snr: float) -> float:
        # alpha^2 = 1 / (1 + exp(-2 lambda)), in the form that does not overflow
        return self.t_of_log_alpha(-0.5 * (max(0.0, -2 * log_snr) + math.log1p(math.exp(-abs(2 * log_snr)))))


@dataclass(frozen=True)
class VPLinear(VariancePreserving):
    """log alpha = -(beta_1 - beta_0) t^2 / 4 - beta_0 t / 2.

    References: Song et al., 2021, Score-based generative modeling through SDEs, arXiv:2011.13456, equation 33.
    """

    beta_0: float = 0.1
    beta_1: float = 20.0
    name = "vp-linear"

    def log_alpha(self, t: float) -> float:
        return -(self.beta_1 - self.beta_0) * t * t / 4 - self.beta_0 * t / 2

    def dlog_alpha(self, t: float) -> float:
        return -(self.beta_0 + (self.beta_1 - self.beta_0) * t) / 2

    def t_of_log_alpha(self, log_alpha: float) -> float:
        # the root of the quadratic without the cancellation near t = 0
        slope = self.beta_1 - self.beta_0
        return -4 * log_alpha / (self.beta_0 + math.sqrt(self.beta_0**2 - 4 * slope * log_alpha))


@dataclass(frozen=True)
class ScaledLinear(VariancePreserving):
    """Stable Diffusion's schedule, continuous in t: sqrt(beta) linear in t, 1,000 steps on [0, 1].

    log alpha = -(steps / 2) ((a + b t)^3 - a^3) / (3 b),  a = sqrt(beta_start),  b = sqrt(beta_end) - a.

    References: Rombach et al., 2022, High-resolution image synthesis with latent diffusion models, arXiv:2112.10752.
    """

    beta_start: float = 0.00085
    beta_end: float = 0.012
    train_steps: int = 1000
    name = "scaled-linear"

    @cached_property
    def _line(self) -> tuple[float, float, float]:
        a = math.sqrt(self.beta_start)
        return a, math.sqrt(self.beta_end) - a, self.train_steps / 2

    def log_alpha(self, t: float) -> float:
        a, b, half = self._line
        return -half * t * (3 * a * a + 3 * a * b * t + b * b * t * t) / 3

    def dlog_alpha(self, t: float) -> float:
        a, b, half = self._line
        return -half * (a + b * t) ** 2

    def t_of_log_alpha(self, log_alpha: float) -> float:
        a, b, half = self._line
        cubed = -3 * b * log_alpha / half
        root = math.cbrt(a**3 + cubed)
        return cubed / (b * (root * root + root * a + a * a))


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


SCHEDULES: dict[str, Any] = {"vp-linear": VPLinear, "scaled-linear": ScaledLinear}


def make_schedule(schedule: "str | Mapping[str, Any] | Schedule") -> Schedule:
    """A schedule from its selector, `vp-linear[beta_1=10]`, from a mapping of its name and constants, or itself."""
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, Mapping):
        constants = dict(schedule)
        name = constants.pop("name", None)
    else:
        name, constants = parse(schedule)
    make = SCHEDULES[checks.one_of("schedule", name, SCHEDULES)]
    checks.options(f"schedule {name}", constants, make.__dataclass_fields__)
    for key, value in constants.items():
        checks.in_range(key, value, 0.0, math.inf if key == "train_steps" else 1e3)
    return make(**constants)
