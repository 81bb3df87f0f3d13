"""Charts: coordinates in which the probability-flow ODE of a diffusion process is solved.

A chart is two scalar functions of time, a scale kappa and a clock tau. With y = x / kappa the ODE is dy/dtau = F,

    F = [ (alpha' - alpha kappa'/kappa) x0_hat + (sigma' - sigma kappa'/kappa) eps_hat ] / (kappa tau'),   ' = d/dt,

and this formula holds for every chart. A chart defines kappa, kappa' and the pace kappa^2 tau'. Where the formula is
0/0 (at an end of a schedule) but F has a limit, the chart gives `weights` in closed form, and a test compares them with
the formula everywhere else. A step needs only kappa_1/kappa_0 and kappa_1 (tau_1 - tau_0), so y is never formed.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from gradbench.diffusion.schedule import Ends, Schedule


@dataclass(frozen=True)
class Chart(ABC):
    """A scale `kappa` and a clock `tau` over a schedule, both scalar functions of time."""

    schedule: Schedule

    @abstractmethod
    def kappa(self, t: float) -> float:
        """The scale: y = x / kappa."""

    @abstractmethod
    def dkappa(self, t: float) -> float:
        """d kappa / dt."""

    @abstractmethod
    def tau(self, t: float) -> float:
        """The clock, strictly monotone in t."""

    @abstractmethod
    def pace(self, t: float) -> float:
        """kappa^2 d tau / dt."""

    @abstractmethod
    def t_of(self, tau: float) -> float:
        """The inverse of `tau`."""

    def weights(self, t: float) -> tuple[float, float]:
        """(w_x0, w_eps) of the field F = w_x0 x0_hat + w_eps eps_hat, by the formula at the top of this file."""
        s, kappa, dkappa, pace = self.schedule, self.kappa(t), self.dkappa(t), self.pace(t)
        return (
            (s.dalpha(t) * kappa - s.alpha(t) * dkappa) / pace,
            (s.dsigma(t) * kappa - s.sigma(t) * dkappa) / pace,
        )

    def ratio(self, t0: float, t1: float) -> float:
        """kappa(t1) / kappa(t0)."""
        return self.kappa(t1) / self.kappa(t0)

    def increment(self, t0: float, t1: float) -> float:
        """kappa(t1) (tau(t1) - tau(t0)): an Euler step is x_1 = ratio x_0 + increment F."""
        return self.kappa(t1) * (self.tau(t1) - self.tau(t0))

    def _radius(self, t: float) -> float:
        """r = hypot(alpha, sigma), 1 for a variance-preserving schedule."""
        return math.hypot(self.schedule.alpha(t), self.schedule.sigma(t))

    def _dradius(self, t: float) -> float:
        s = self.schedule
        return (s.alpha(t) * s.dalpha(t) + s.sigma(t) * s.dsigma(t)) / self._radius(t)


class TimeChart(Chart):
    """kappa = 1, tau = t, F = alpha' x0_hat + sigma' eps_hat: the textbook ODE.

    References: Song et al., 2021, arXiv:2011.13456, equation 13.
    """

    def kappa(self, t: float) -> float:
        return 1.0

    def dkappa(self, t: float) -> float:
        return 0.0

    def tau(self, t: float) -> float:
        return t

    def pace(self, t: float) -> float:
        return 1.0

    def t_of(self, tau: float) -> float:
        return tau


class NoiseChart(Chart):
    """kappa = alpha, tau = sigma / alpha, F = eps_hat. Euler's method is DDIM; tau is AdjointDPM's rho and EDM's sigma.

    References: Song et al., 2021, DDIM, arXiv:2010.02502, equation 14; Karras et al., 2022, arXiv:2206.00364.
    """

    def kappa(self, t: float) -> float:
        return self.schedule.alpha(t)

    def dkappa(self, t: float) -> float:
        return self.schedule.dalpha(t)

    def tau(self, t: float) -> float:
        return self.schedule.sigma(t) / self.schedule.alpha(t)

    def pace(self, t: float) -> float:
        return self.schedule.wronskian(t)

    def t_of(self, tau: float) -> float:
        return self.schedule.t_of_log_snr(-math.log(tau) if tau > 0 else math.inf)

    def weights(self, t: float) -> tuple[float, float]:
        return 0.0, 1.0


class DataChart(Chart):
    """kappa = sigma, tau = alpha / sigma, F = x0_hat: DDIM at first order, DPM-Solver++ at higher orders.

    References: Lu et al., 2022, DPM-Solver++, arXiv:2211.01095, equation 8.
    """

    def kappa(self, t: float) -> float:
        return self.schedule.sigma(t)

    def dkappa(self, t: float) -> float:
        return self.schedule.dsigma(t)

    def tau(self, t: float) -> float:
        sigma = self.schedule.sigma(t)
        return self.schedule.alpha(t) / sigma if sigma else math.inf

    def pace(self, t: float) -> float:
        return -self.schedule.wronskian(t)

    def t_of(self, tau: float) -> float:
        return self.schedule.t_of_log_snr(math.log(tau) if tau > 0 else -math.inf)

    def weights(self, t: float) -> tuple[float, float]:
        return 1.0, 0.0

    def increment(self, t0: float, t1: float) -> float:
        # alpha_1 - sigma_1 alpha_0 / sigma_0: finite where sigma_1 = 0 although tau_1 is not
        s = self.schedule
        return s.alpha(t1) - s.sigma(t1) * s.alpha(t0) / s.sigma(t0)


class AngleChart(Chart):
    """kappa = r = hypot(alpha, sigma), tau = atan2(sigma, alpha), F = (alpha eps_hat - sigma x0_hat) / r = v / r.

    Regular at both ends of every schedule. References: Salimans and Ho, 2022, arXiv:2202.00512, section 4.
    """

    def kappa(self, t: float) -> float:
        return self._radius(t)

    def dkappa(self, t: float) -> float:
        return self._dradius(t)

    def tau(self, t: float) -> float:
        return math.atan2(self.schedule.sigma(t), self.schedule.alpha(t))

    def pace(self, t: float) -> float:
        return self.schedule.wronskian(t)

    def t_of(self, tau: float) -> float:
        tangent = math.tan(tau)
        return self.schedule.t_of_log_snr(-math.log(tangent) if tangent > 0 else math.inf)

    def weights(self, t: float) -> tuple[float, float]:
        r = self._radius(t)
        return -self.schedule.sigma(t) / r, self.schedule.alpha(t) / r


class LogSNRChart(Chart):
    """kappa = r = hypot(alpha, sigma), tau = log(alpha / sigma); F is -alpha sigma / r^2 times the angle chart's."""

    def kappa(self, t: float) -> float:
        return self._radius(t)

    def dkappa(self, t: float) -> float:
        return self._dradius(t)

    def tau(self, t: float) -> float:
        return self.schedule.log_snr(t)

    def pace(self, t: float) -> float:
        s = self.schedule
        return -self.schedule.wronskian(t) * self._radius(t) ** 2 / (s.alpha(t) * s.sigma(t))

    def t_of(self, tau: float) -> float:
        return self.schedule.t_of_log_snr(tau)


CHARTS: dict[str, type[Chart]] = {
    "time": TimeChart,
    "noise": NoiseChart,
    "data": DataChart,
    "angle": AngleChart,
    "log-snr": LogSNRChart,
}


def refuses(name: str, ends: Ends) -> str | None:
    """Why a chart cannot be used on a range with these ends, or None. Its scale, clock and field must stay finite.

    At alpha = 0 the data and time charts work for denoisers that give x_0 without dividing by alpha; the angle chart
    works for all denoisers.
    """
    if ends.alpha_T <= 0 and name not in ("data", "angle", "time"):
        return f"the {name} chart has no value at alpha = 0, the noisy end; the angle chart has"
    if name in ("log-snr", "log-snr-sde") and ends.sigma_0 <= 0:
        return f"the {name} chart has no value at sigma = 0, the clean end; the angle chart has"
    if name in ("time", "time-sde") and not math.isfinite(ends.dsigma_0):
        return f"the {name} chart has no field at sigma = 0, the clean end; the angle chart has"
    return None
