"""Noise schedules: x_t = alpha(t) x_0 + sigma(t) eps for t in [0, 1], with the noisy end at t = 1 (EDM's: [0, 80]).

All are scalar functions of a Python float in float64. Coefficients never enter a tape, so the same schedule serves a
network in half precision, a float64 reference and a run on tensors without memory. `log_snr` is
lambda = log(alpha / sigma), half of log(alpha^2 / sigma^2).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.selector import parse
from gradbench.traits import Traits

if TYPE_CHECKING:
    from torch import Tensor


class Schedule(ABC):
    """alpha and sigma as functions of time, their derivatives, and the inverse of the log signal-to-noise ratio."""

    name: str
    t_end: float = 1.0  # the noisy end of time
    train_steps: int = 1000  # the number of discrete training times of networks of this schedule
    steps_offset: int = 1  # added to the indices of the `leading` grid, as in Stable Diffusion's configuration

    @abstractmethod
    def alpha(self, t: float) -> float:
        """Scale of the signal, > 0 except possibly at t = 1."""

    @abstractmethod
    def sigma(self, t: float) -> float:
        """Standard deviation of the noise, > 0 except possibly at t = 0."""

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

    def noising(self, t: float, later: float) -> tuple[float, float]:
        """(a, s) of the forward process from t to a later time, x_later = a x_t + s xi with standard normal xi:

        a = alpha_later / alpha_t,      s = (sigma_later^2 - a^2 sigma_t^2)^(1/2) = sigma_later `gained`^(1/2).
        """
        return self.alpha(later) / self.alpha(t), self.sigma(later) * math.sqrt(self.gained(later, t))

    def noised(self, x_0: "Tensor", e: "Tensor", t: float) -> "Tensor":
        """alpha x_0 + sigma e at time t."""
        return self.alpha(t) * x_0 + self.sigma(t) * e

    def wronskian(self, t: float) -> float:
        """W = sigma' alpha - sigma alpha' > 0."""
        return self.dsigma(t) * self.alpha(t) - self.sigma(t) * self.dalpha(t)

    def gained(self, t0: float, t1: float) -> float:
        """1 - exp(2 (lambda_0 - lambda_1)): the fraction of the SNR at t1 that is gained from t0 to t1 < t0."""
        return -math.expm1(2 * (self.log_snr(t0) - self.log_snr(t1)))

    def posterior_std(self, t0: float, t1: float) -> float:
        """sigma_1 `gained`^(1/2): the standard deviation of x at t1 < t0 given x at t0 and x_0."""
        return self.sigma(t1) * math.sqrt(self.gained(t0, t1))

    @property
    def t_limit(self) -> float:
        """The latest time at which a grid given as a list may begin: t_end, or more where a table is extrapolated."""
        return self.t_end

    def index(self, t: float) -> float:
        """The time input of networks of this schedule: train_steps t - 1, the index in the discrete table, and 0 where
        that is negative, because no network was trained below index 0.
        """
        return max(self.train_steps * t - 1, 0.0)


class VariancePreserving(Schedule):
    """alpha^2 + sigma^2 = 1: everything follows from log alpha, its derivative and its inverse."""

    @abstractmethod
    def log_alpha(self, t: float) -> float:
        """log alpha(t), 0 at t = 0."""

    @abstractmethod
    def dlog_alpha(self, t: float) -> float:
        """f(t) = d log alpha / dt, the linear drift coefficient of the forward process."""

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
        # alpha^2 = 1 / (1 + exp(-2 lambda)), in a form that does not overflow
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
        # the root of the quadratic, without cancellation near t = 0
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
        root = math.cbrt(a**3 - 3 * b * log_alpha / half)
        return -3 * log_alpha / half / (root * root + root * a + a * a)


@dataclass(frozen=True)
class Cosine(VariancePreserving):
    """alpha = cos(u) / cos(u_0), u = (pi/2) (t + s) / (1 + s), u_0 = u(0); alpha = 0 at t = 1, and beta is not clipped.

    References: Nichol and Dhariwal, 2021, arXiv:2102.09672, equation 17.
    """

    s: float = 0.008
    name = "cosine"

    def _angle(self, t: float) -> float:
        return math.pi / 2 * (t + self.s) / (1 + self.s)

    def alpha(self, t: float) -> float:
        return math.cos(self._angle(t)) / math.cos(self._angle(0.0)) if t < 1 else 0.0

    def sigma(self, t: float) -> float:
        # 1 - cos(u)^2 / cos(u_0)^2, without cancellation near t = 0
        u, first = self._angle(t), self._angle(0.0)
        return math.sqrt(math.sin(u - first) * math.sin(u + first)) / math.cos(first)

    def dalpha(self, t: float) -> float:
        return -math.pi / 2 / (1 + self.s) * math.sin(self._angle(t)) / math.cos(self._angle(0.0))

    def dsigma(self, t: float) -> float:
        sigma = self.sigma(t)
        return -self.alpha(t) * self.dalpha(t) / sigma if sigma else math.inf

    def log_alpha(self, t: float) -> float:
        alpha = self.alpha(t)
        return math.log(alpha) if alpha else -math.inf

    def dlog_alpha(self, t: float) -> float:
        return -math.pi / 2 / (1 + self.s) * math.tan(self._angle(t)) if t < 1 else -math.inf

    def log_snr(self, t: float) -> float:
        return super().log_snr(t) if self.alpha(t) else -math.inf

    def t_of_log_alpha(self, log_alpha: float) -> float:
        # cos u = alpha cos u_0, with sin u free of cancellation near t = 0
        first = self._angle(0.0)
        sine = math.sqrt(math.sin(first) ** 2 - math.expm1(2 * log_alpha) * math.cos(first) ** 2)
        u = math.atan2(sine, math.exp(log_alpha) * math.cos(first))
        return max(0.0, (u - first) * 2 / math.pi * (1 + self.s))


@dataclass(frozen=True)
class VarianceExploding(Schedule):
    """alpha = 1, sigma = t: EDM's schedule, t in [0, t_end], 80 by default.

    References: Karras et al., 2022, arXiv:2206.00364, table 1.
    """

    t_end: float = 80.0
    name = "ve"

    def alpha(self, t: float) -> float:
        return 1.0

    def sigma(self, t: float) -> float:
        return t

    def dalpha(self, t: float) -> float:
        return 0.0

    def dsigma(self, t: float) -> float:
        return 1.0

    def log_snr(self, t: float) -> float:
        return -math.log(t) if t else math.inf

    def t_of_log_snr(self, log_snr: float) -> float:
        return math.exp(-log_snr)


@dataclass(frozen=True)
class Trigonometric(VariancePreserving):
    """alpha = cos(pi t / 2), sigma = sin(pi t / 2): every ratio s = sigma / alpha >= 0 occurs, at t = 2 atan(s) / pi.

    Networks take log(s) / 4, EDM's c_noise, as their time, as in Stable Video Diffusion. References: Salimans and Ho,
    2022, arXiv:2202.00512, section 4; Karras et al., 2022, arXiv:2206.00364, table 1 (c_noise).
    """

    name = "trigonometric"

    def index(self, t: float) -> float:
        if t <= 0:
            raise UsageError(
                "a network that receives log(sigma / alpha) / 4 cannot be evaluated at sigma = 0: raise t_min"
            )
        return 0.25 * math.log(math.tan(math.pi / 2 * t))

    def alpha(self, t: float) -> float:
        return math.sin(math.pi / 2 * (1 - t))

    def sigma(self, t: float) -> float:
        return math.sin(math.pi / 2 * t)

    def dalpha(self, t: float) -> float:
        return -math.pi / 2 * self.sigma(t)

    def dsigma(self, t: float) -> float:
        return math.pi / 2 * self.alpha(t)

    def log_alpha(self, t: float) -> float:
        return math.log(self.alpha(t)) if t < 1 else -math.inf

    def dlog_alpha(self, t: float) -> float:
        return -math.pi / 2 * self.sigma(t) / self.alpha(t) if t < 1 else -math.inf

    def log_snr(self, t: float) -> float:
        return super().log_snr(t) if t < 1 else -math.inf

    def t_of_log_snr(self, log_snr: float) -> float:
        small = 2 / math.pi * math.atan(math.exp(-abs(log_snr)))
        return small if log_snr > 0 else 1 - small

    def t_of_log_alpha(self, log_alpha: float) -> float:
        return 2 / math.pi * math.acos(math.exp(min(log_alpha, 0.0)))


@dataclass(frozen=True)
class Rectified(Schedule):
    """alpha = 1 - t, sigma = t: rectified flow, the straight path of flow matching.

    Networks take train_steps t as their time. References: Liu et al., 2023, arXiv:2209.03003, equation 1; Lipman et
    al., 2023, arXiv:2210.02747, equation 20.
    """

    train_steps: int = 1000
    name = "rectified"

    def index(self, t: float) -> float:
        return self.train_steps * t

    def alpha(self, t: float) -> float:
        return 1.0 - t

    def sigma(self, t: float) -> float:
        return t

    def dalpha(self, t: float) -> float:
        return -1.0

    def dsigma(self, t: float) -> float:
        return 1.0

    def log_snr(self, t: float) -> float:
        if t in (0.0, 1.0):
            return -math.inf if t else math.inf
        return math.log((1 - t) / t)

    def t_of_log_snr(self, log_snr: float) -> float:
        small = math.exp(-abs(log_snr))
        return (small if log_snr > 0 else 1.0) / (1 + small)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ends(Traits):
    """What charts and samplers need to know about a time range. The defaults, for an unknown schedule, refuse nothing.

    alpha_T: alpha at the noisy end. sigma_0, dsigma_0: sigma and d sigma / dt at the clean end. schedule: its name.
    """

    alpha_T: float = 1.0
    sigma_0: float = 1.0
    dsigma_0: float = 1.0
    schedule: str | None = None


def ends_of(schedule: Schedule, t_max: float, t_min: float) -> Ends:
    """The ends of the range from t_max to t_min."""
    return Ends(
        alpha_T=schedule.alpha(t_max),
        sigma_0=schedule.sigma(t_min),
        dsigma_0=schedule.dsigma(t_min),
        schedule=schedule.name,
    )


SCHEDULES: dict[str, Any] = {
    "vp-linear": VPLinear,
    "scaled-linear": ScaledLinear,
    "cosine": Cosine,
    "ve": VarianceExploding,
    "trigonometric": Trigonometric,
    "rectified": Rectified,
}


def make_schedule(schedule: "str | Mapping[str, Any] | Schedule") -> Schedule:
    """A schedule from a selector, `vp-linear[beta_1=10]`, or from a mapping of name and constants, or itself."""
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, Mapping):
        constants = dict(schedule)
        name = constants.pop("name", None)
    elif isinstance(schedule, str):
        name, constants = parse(schedule)
    else:
        raise UsageError(
            f"schedule must be a name of {', '.join(SCHEDULES)}, a mapping or a Schedule, got "
            f"{type(schedule).__name__}: of a scheduler of diffusers give gradbench.from_diffusers(scheduler)"
        )
    make = SCHEDULES[checks.one_of("schedule", name, SCHEDULES)]
    checks.options(f"schedule {name}", constants, make.__dataclass_fields__)
    for key, value in constants.items():
        checks.in_range(key, value, 0.0, math.inf if key == "train_steps" else 1e3)
    return make(**constants)
