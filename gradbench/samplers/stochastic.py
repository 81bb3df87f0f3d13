"""Stochastic rules, defined by a transition, from which the step and its log-probability both follow."""

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.diffusion.chart import DataChart
from gradbench.diffusion.sde_chart import SDEChart
from gradbench.samplers.base import Field, Interval, Rule, State
from gradbench.samplers.multistep import two_m
from gradbench.samplers.runge_kutta import EULER


class StochasticRule(Rule):
    """x_{k+1} = mean + std z, where z is the interval's noise, (b, *x)."""

    @abstractmethod
    def mean(self, field: Field, state: State, interval: Interval) -> State:
        """The next state, with its point replaced by the mean."""

    @abstractmethod
    def std(self, interval: Interval) -> float:
        """The standard deviation of the step's noise; 0 if none is drawn."""

    def silent(self) -> "StochasticRule | None":
        """The rule with the same marginals that draws no noise, if it is of the same family."""
        return None

    def transition(self, field: Field, state: State, interval: Interval) -> tuple[State, float]:
        """`mean` and `std` of the step."""
        return self.mean(field, state, interval), self.std(interval)

    def step(self, field: Field, state: State, interval: Interval) -> State:
        (mean, *history), std = self.transition(field, state, interval)
        if interval.noise is None:
            raise UsageError("a stochastic step needs the noise of its interval, got None")
        return mean + std * interval.noise, *history  # torch.add with alpha crashes in forward-mode AD, torch 2.13

    def log_prob(self, field: Field, state: State, interval: Interval, point: Tensor) -> Tensor:
        """log p(point | state), (b): -|point - mean|^2 / (2 std^2) - D log std - (D/2) log 2 pi.

        point (b, *x), D its components per sample. Raises `ValueError` if std = 0.
        """
        (mean, *_), std = self.transition(field, state, interval)
        if not std:
            raise UsageError("a transition without noise has no log-probability: its std is 0")
        size = point[0].numel()
        square = ((point - mean) ** 2).flatten(1).sum(1)
        return -square / (2 * std**2) - size * (math.log(std) + 0.5 * math.log(2 * math.pi))


@dataclass(frozen=True)
class Diffused(StochasticRule):
    """A deterministic rule on the reverse SDE in an SDE chart: the rule's step is the mean, the chart gives the std.

    With Euler's rule this is Euler-Maruyama, SDE-DPM-Solver-1 or SDE-DPM-Solver++-1, depending on the chart; with the
    two-step rule in log tau, in the data chart, it is SDE-DPM-Solver++(2M). References: Lu et al., 2022, DPM-Solver++,
    arXiv:2211.01095, equations 17 to 19.
    """

    drift: Rule
    order = 1  # strong order: additive noise

    @property
    def stages(self) -> int:  # type: ignore[override]
        return self.drift.stages

    def mean(self, field: Field, state: State, interval: Interval) -> State:
        return self.drift.step(field, state, interval)

    def std(self, interval: Interval) -> float:
        assert isinstance(interval.chart, SDEChart)
        return interval.chart.std(interval.t0, interval.t1)


class DDIMFamily(StochasticRule):
    """Steps that keep the noise level, in the noise chart, or from alpha = 0 in the data chart:

        mean = alpha_1 x0_hat + sqrt(sigma_1^2 - s^2) eps_hat,    s = `level` <= sigma_1,

    with noise of standard deviation s. References: Song et al., 2021, DDIM, arXiv:2010.02502, equation 12.
    """

    order = 1
    stages = 1

    @abstractmethod
    def level(self, interval: Interval) -> float:
        """s, the part of sigma_1 that is redrawn."""

    def silent(self) -> StochasticRule:
        return DDIMEta(0.0)

    def mean(self, field: Field, state: State, interval: Interval) -> State:
        schedule = interval.chart.schedule
        sigma_0, sigma_1 = schedule.sigma(interval.t0), schedule.sigma(interval.t1)
        kept, slope = math.sqrt(sigma_1**2 - self.level(interval) ** 2), field(interval.t0, state[0])
        if isinstance(interval.chart, DataChart):  # the slope is x0_hat, eps_hat = (x - alpha_0 x0_hat) / sigma_0
            share = kept / sigma_0
            length = schedule.alpha(interval.t1) - share * schedule.alpha(interval.t0)
            return (torch.add(share * state[0], slope, alpha=length),)
        return (torch.add(interval.carry(state[0]), slope, alpha=kept - interval.ratio() * sigma_0),)

    def std(self, interval: Interval) -> float:
        return self.level(interval)


@dataclass(frozen=True)
class DDIMEta(DDIMFamily):
    """The DDIM family with s = eta sigma_1 sqrt(1 - exp(2 (lambda_0 - lambda_1))): eta = 0 is the ODE, eta = 1 is DDPM
    with the posterior variance.

    lambda is the log-SNR; for variance-preserving schedules this is the paper's
    s = eta (sigma_1 / sigma_0) sqrt(1 - alpha_0^2 / alpha_1^2). The noise has standard deviation s, or with `large`
    that of the forward process over the step, sigma_0 sqrt(1 - exp(2 (lambda_0 - lambda_1))), the paper's sigma-hat.
    The step from index 0 to the clean end draws no noise (Ho et al., 2020, algorithm 2).

    References: Song et al., 2021, DDIM, arXiv:2010.02502, equation 16 and section 5.
    """

    eta: float
    large: bool = False

    def level(self, interval: Interval) -> float:
        return self.eta * interval.chart.schedule.posterior_std(interval.t0, interval.t1)

    def std(self, interval: Interval) -> float:
        schedule = interval.chart.schedule
        if not self.large:
            return self.level(interval)
        if schedule.sigma(interval.t1) <= 0 and schedule.index(interval.t0) < 1e-6:
            return 0.0
        return schedule.noising(interval.t1, interval.t0)[1]


EULER_SDE = Diffused(EULER)


def two_m_sde(solver: str = "midpoint") -> Rule:
    """The rule of `sde-dpm++2m[solver=midpoint|heun]`."""
    return Diffused(two_m(solver))


def ddim(eta: float) -> Rule:
    """The rule of `ddim[eta=...]`: Euler's for eta = 0."""
    return DDIMEta(eta) if eta else EULER


def ddpm(variance: str) -> Rule:
    """The rule of `ddpm[variance=small|large]`."""
    return DDIMEta(1.0, variance == "large")
