"""Charts of the reverse SDE dx = [f x + (g^2 / sigma) eps] dt + g dW.

Its drift exceeds that of the ODE by (g^2 / (2 sigma)) eps, where g^2 / (2 sigma) = W / alpha with the Wronskian
W = sigma' alpha - sigma alpha'. So in y = x / kappa, with respect to tau,

    F = (F of the ODE) + (W / alpha) eps_hat / (kappa tau').

`std` is the standard deviation in x of the noise of a step: kappa_1 [ int g^2 / kappa^2 dt ]^(1/2).
"""

import math
from abc import abstractmethod

from gradbench import checks
from gradbench.diffusion.chart import CHARTS, AngleChart, Chart, LogSNRChart, NoiseChart, TimeChart
from gradbench.diffusion.schedule import Schedule


class SDEChart(Chart):
    """A chart whose field is the drift of the reverse SDE, with the standard deviation of a step's noise."""

    def weights(self, t: float) -> tuple[float, float]:
        w_x0, w_eps = Chart.weights(self, t)
        return w_x0, w_eps + self.kappa(t) * self.schedule.wronskian(t) / self.schedule.alpha(t) / self.pace(t)

    def diffusion(self, t: float) -> float:
        """g / kappa: the diffusion coefficient of y in time t, with g^2 = 2 sigma W / alpha."""
        s = self.schedule
        return math.sqrt(2 * s.sigma(t) * s.wronskian(t) / s.alpha(t)) / self.kappa(t)

    @abstractmethod
    def variance(self, t0: float, t1: float) -> float:
        """int g^2 / kappa^2 dt from t1 to t0 > t1: the variance that the noise of a step adds to y."""

    def std(self, t0: float, t1: float) -> float:
        """Standard deviation, in x, of the noise that a step from t0 to t1 < t0 adds."""
        return self.kappa(t1) * math.sqrt(self.variance(t0, t1))


class TimeSDEChart(SDEChart, TimeChart):
    """kappa = 1, tau = t: Euler's method is Euler-Maruyama, with std g(t0) sqrt(t0 - t1), g^2 = 2 sigma W / alpha.

    References: Song et al., 2021, arXiv:2011.13456, equation 6.
    """

    def variance(self, t0: float, t1: float) -> float:
        return 2 * self.schedule.sigma(t0) * self.schedule.wronskian(t0) / self.schedule.alpha(t0) * (t0 - t1)


class NoiseSDEChart(SDEChart, NoiseChart):
    """F = 2 eps_hat: Euler's method is SDE-DPM-Solver-1, with std alpha_1 sqrt(chi_0^2 - chi_1^2), chi = sigma / alpha.

    References: Lu et al., 2022, DPM-Solver++, arXiv:2211.01095, equation 17.
    """

    def weights(self, t: float) -> tuple[float, float]:
        return 0.0, 2.0

    def variance(self, t0: float, t1: float) -> float:
        first, last = self.tau(t0), self.tau(t1)
        return (first - last) * (first + last)


class DataSDEChart(SDEChart):
    """kappa = sigma^2 / alpha, tau = (alpha / sigma)^2, F = x0_hat, diffusion 1 in tau: Euler is SDE-DPM-Solver++-1.

    References: Lu et al., 2022, DPM-Solver++, arXiv:2211.01095, equation 18.
    """

    def kappa(self, t: float) -> float:
        return self.schedule.sigma(t) ** 2 / self.schedule.alpha(t)

    def dkappa(self, t: float) -> float:
        s = self.schedule
        ratio = s.sigma(t) / s.alpha(t)
        return 2 * ratio * s.dsigma(t) - ratio**2 * s.dalpha(t)

    def tau(self, t: float) -> float:
        sigma = self.schedule.sigma(t)
        return (self.schedule.alpha(t) / sigma) ** 2 if sigma else math.inf

    def pace(self, t: float) -> float:
        return -2 * self.schedule.sigma(t) * self.schedule.wronskian(t) / self.schedule.alpha(t)

    def t_of(self, tau: float) -> float:
        return self.schedule.t_of_log_snr(0.5 * math.log(tau) if tau > 0 else -math.inf)

    def weights(self, t: float) -> tuple[float, float]:
        return 1.0, 0.0

    def increment(self, t0: float, t1: float) -> float:
        # alpha_1 (1 - exp(-2 h)), h = lambda_1 - lambda_0: finite where sigma_1 = 0
        return self.schedule.alpha(t1) * self.schedule.gained(t0, t1)

    def variance(self, t0: float, t1: float) -> float:
        return self.tau(t1) - self.tau(t0)

    def std(self, t0: float, t1: float) -> float:
        # sigma_1 (1 - exp(-2 h))^(1/2): finite where sigma_1 = 0
        return self.schedule.posterior_std(t0, t1)


class _RadialSDEChart(SDEChart):
    """kappa = r = hypot(alpha, sigma): int g^2 / r^2 dt = int 2 tan(phi) dphi, phi = atan2(sigma, alpha)."""

    def variance(self, t0: float, t1: float) -> float:
        s = self.schedule
        return 2 * math.log(s.alpha(t1) / s.alpha(t0) * self.ratio(t1, t0))


class AngleSDEChart(_RadialSDEChart, AngleChart):
    """The angle chart's scale and clock: F = v / r + (r / alpha) eps_hat."""


class LogSNRSDEChart(_RadialSDEChart, LogSNRChart):
    """The log-SNR chart's scale and clock."""


SDE_CHARTS: dict[str, type[SDEChart]] = {
    "time-sde": TimeSDEChart,
    "noise-sde": NoiseSDEChart,
    "data-sde": DataSDEChart,
    "angle-sde": AngleSDEChart,
    "log-snr-sde": LogSNRSDEChart,
}


def make_chart(name: str, schedule: Schedule) -> Chart:
    """The chart of the given name over a schedule, for the ODE or the reverse SDE; `ValueError` for an unknown name."""
    both: dict[str, type[Chart]] = {**CHARTS, **SDE_CHARTS}
    return both[checks.one_of("chart", name, both)](schedule)
