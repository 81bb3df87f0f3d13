"""The stochastic samplers that policy gradients use: transitions whose noise is chosen freely.

In the time chart, any level c(t) keeps the marginals of the flow in the limit of short steps,

    mean = x + h F + (c^2 / (2 sigma)) h eps_hat,    std = c sqrt(-h),    F = alpha' x0_hat + sigma' eps_hat,    h < 0,

and c = g, g^2 = 2 sigma W / alpha with W = sigma' alpha - sigma alpha', is the reverse SDE: 2 t / (1 - t) for rectified
flow, beta for a variance-preserving schedule. The DDIM family keeps the noise level of every step exactly instead.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch

from gradbench.diffusion.chart import TimeChart
from gradbench.diffusion.detached import through
from gradbench.samplers.base import Field, Interval, State
from gradbench.samplers.stochastic import DDIMFamily, StochasticRule


class FreeSDE(StochasticRule):
    """The time chart's rule with a free noise level, see the top of this file."""

    order = 1
    stages = 1

    @abstractmethod
    def level(self, interval: Interval) -> float:
        """c of the step."""

    def silent(self) -> StochasticRule:
        return DanceSDE(0.0)

    def mean(self, field: Field, state: State, interval: Interval) -> State:
        (x,), chart, h = state, TimeChart(interval.chart.schedule), interval.h
        share = self.level(interval) ** 2 * h / (2 * chart.schedule.sigma(interval.t0))
        c_x, c_F = through(chart, interval.t0, (0.0, 1.0))  # eps_hat = c_x x + c_F F
        return (torch.add(x * (1 + share * c_x), field(interval.t0, x), alpha=h + share * c_F),)

    def std(self, interval: Interval) -> float:
        return self.level(interval) * math.sqrt(-interval.h)


@dataclass(frozen=True)
class FlowSDE(FreeSDE):
    """Flow-GRPO: c^2 = (a^2 / 2) g^2, that is a^2 t / (1 - t) for rectified flow.

    At alpha = 0, where g is infinite, let t_1 be the next time: first=released takes c^2 = a^2 sigma W / alpha_1 as in
    the released code (sde_step_with_logprob); first=next takes g at t_1. References: Liu et al., 2025, Flow-GRPO,
    arXiv:2505.05470.
    """

    a: float
    first: str

    def level(self, interval: Interval) -> float:
        s, t = interval.chart.schedule, interval.t0
        below = t if s.alpha(t) > 0 else interval.t1
        above = t if self.first == "released" else below
        return self.a * math.sqrt(s.sigma(above) * s.wronskian(above) / s.alpha(below))


@dataclass(frozen=True)
class DanceSDE(FreeSDE):
    """DanceGRPO: c = eta, constant, down to the last step. References: Xue et al., 2025, arXiv:2505.07818; the formula
    is that of the released codes of MixGRPO and Flow-GRPO.
    """

    eta: float

    def level(self, interval: Interval) -> float:
        return self.eta


@dataclass(frozen=True)
class CoefficientsPreserving(DDIMFamily):
    """CPS: the DDIM family with s = sigma_1 sin(eta pi / 2). With eta = 1 every step adds new noise to x0_hat, as the
    stochastic sampling of diffusers' flow-matching Euler scheduler does.

    The noise level is kept, the variance of the sample is not: x0_hat is a mean, and its spread is lost in every step.
    References: Wang and Yu, 2025, Coefficients-preserving sampling, arXiv:2509.05952, and Flow-GRPO's released code.
    """

    eta: float

    def level(self, interval: Interval) -> float:
        return interval.chart.schedule.sigma(interval.t1) * math.sin(self.eta * math.pi / 2)


@dataclass(frozen=True)
class Precise(DDIMFamily):
    """PRECISE: the DDIM family with s = sigma_1 sqrt(1 - exp(-a^2 H)), H = lambda_1 - lambda_0: Flow-GRPO's level,
    integrated over the step. a = sqrt 2 is eta = 1. References: arXiv:2605.23522, as third parties describe it.
    """

    a: float

    def level(self, interval: Interval) -> float:
        schedule = interval.chart.schedule
        left = 1 - schedule.gained(interval.t0, interval.t1)  # exp(-2 H)
        return schedule.sigma(interval.t1) * math.sqrt(1 - left ** (self.a**2 / 2))


@dataclass(frozen=True)
class Churn(StochasticRule):
    """Rectified flow with churn: Euler's step to the level q = s / (1 + gamma - gamma s) below the next time s, then
    noise and a scale that restore the level s,

        mean = (x + (q - t) v) / (1 + gamma q),    std = q sqrt((1 + gamma)^2 - 1) / (1 + gamma q).

    The step to s = 0 draws no noise. References: Finite-difference flow optimization, 2026, arXiv:2603.12893,
    and its released code, in which x_T is churned too (see the estimator `fdfo`).
    """

    gamma: float
    order = 1
    stages = 1

    def silent(self) -> StochasticRule:
        return Churn(0.0)

    def mean(self, field: Field, state: State, interval: Interval) -> State:
        (x,), q = state, self._below(interval)
        return (torch.add(x, field(interval.t0, x), alpha=q - interval.t0) / (1 + self.gamma * q),)

    def std(self, interval: Interval) -> float:
        q = self._below(interval)
        return q * churned(self.gamma) / (1 + self.gamma * q)

    def _below(self, interval: Interval) -> float:
        s = interval.t1
        return s / (1 + self.gamma - self.gamma * s)


@dataclass(frozen=True)
class Windowed(StochasticRule):
    """A rule that draws noise in the steps first..first + length - 1 only; the others are its `silent` one.

    References: Li et al., 2025, MixGRPO, arXiv:2507.21802.
    """

    rule: StochasticRule
    first: int
    length: int

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.rule.order

    @property
    def stages(self) -> int:  # type: ignore[override]
        return self.rule.stages

    def mean(self, field: Field, state: State, interval: Interval) -> State:
        return self._of(interval).mean(field, state, interval)

    def std(self, interval: Interval) -> float:
        return self._of(interval).std(interval)

    def draws(self, k: int) -> bool:
        """Whether step k draws noise."""
        return self.first <= k < self.first + self.length

    def _of(self, interval: Interval) -> StochasticRule:
        silent = self.rule.silent()
        assert silent is not None  # a window is refused elsewhere
        return self.rule if self.draws(interval.index) else silent


def churned(gamma: float) -> float:
    """sqrt((1 + gamma)^2 - 1): with it x / (1 + gamma) + churned z / (1 + gamma) has the variance 1 of x and z."""
    return math.sqrt((1 + gamma) ** 2 - 1)
