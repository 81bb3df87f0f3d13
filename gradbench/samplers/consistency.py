"""Few-step samplers of distilled models: noise is added anew to a predicted sample in every step."""

import math
from dataclasses import dataclass

from gradbench.samplers.base import Field, Interval, State
from gradbench.samplers.stochastic import DDIMFamily, StochasticRule

SIGMA_DATA = 0.5


@dataclass(frozen=True)
class LCM(StochasticRule):
    """x_{k+1} = alpha_1 (c_out x0_hat + c_skip x) + sigma_1 z, in the data chart; to sigma = 0 no noise is drawn.

    c_skip = d^2 / (s^2 + d^2), c_out = s / sqrt(s^2 + d^2), d = 1/2, s = `scaling` i for index i of the table: as good
    as 0 and 1 but at the very end. References: Luo et al., 2023, Latent consistency models, arXiv:2310.04378;
    diffusers' LCMScheduler.
    """

    scaling: float = 10.0
    order = 1
    stages = 1

    def mean(self, field: Field, state: State, interval: Interval) -> State:
        (x,), schedule = state, interval.chart.schedule
        length = math.hypot(s := self.scaling * schedule.index(interval.t0), SIGMA_DATA)
        share = schedule.alpha(interval.t1)
        c_skip, c_out = share * (SIGMA_DATA / length) ** 2, share * s / length
        return (c_out * field(interval.t0, x) + c_skip * x,)

    def std(self, interval: Interval) -> float:
        return interval.chart.schedule.sigma(interval.t1)


@dataclass(frozen=True)
class TCD(DDIMFamily):
    """The DDIM family by way of an earlier index j = floor((1 - eta) i_1), i_1 the next one, and noise back up:

        s = `level` = sqrt(1 - alpha_1^2 / alpha(j)^2).

    The last step ends at index 0, where j = i_1 and no noise is drawn. References: Zheng et al., 2024, Trajectory
    consistency distillation, arXiv:2402.19159; diffusers' TCDScheduler, whose `step` has eta = 0.3.
    """

    eta: float = 0.3

    def level(self, interval: Interval) -> float:
        schedule = interval.chart.schedule
        below = math.floor((1 - self.eta) * round(schedule.index(interval.t1)))
        alpha, lower = schedule.alpha(interval.t1), schedule.alpha((below + 1) / schedule.train_steps)
        return math.sqrt(max(0.0, 1 - (alpha / lower) ** 2))


def lcm(scaling: float = 10.0) -> LCM:
    """The rule of `lcm[scaling=10]`."""
    return LCM(scaling)


def tcd(eta: float = 0.3) -> TCD:
    """The rule of `tcd[eta=0.3]`."""
    return TCD(eta)
