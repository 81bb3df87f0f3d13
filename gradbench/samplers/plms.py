"""PLMS, the default of Stable Diffusion 1: Adams-Bashforth of equal steps, whatever the steps are."""

from dataclasses import dataclass

from gradbench.samplers.base import Field, Interval, Rule, State

WEIGHTS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


@dataclass(frozen=True)
class PLMS(Rule):
    """The state is (x_k, F_{k-1}, F_{k-2}, F_{k-3}) as far as they are known; in the noise chart.

    The first step is Heun's, of two evaluations, the second of which no later step uses; a chain of a single step is
    Euler's. References: Liu et al., 2022, Pseudo numerical methods for diffusion models on manifolds, arXiv:2202.09778;
    diffusers' PNDMScheduler with skip_prk_steps=True.
    """

    order = 2  # by its first steps, and where they are unequal
    stages = 2  # at most

    def step(self, field: Field, state: State, interval: Interval) -> State:
        point, *history = state
        slopes = [field(interval.t0, point), *history]
        if not history and interval.left != 1 and not interval.closed:
            second = field(interval.t1, interval.add(interval.carry(point), 1.0, slopes[0]))
            end = interval.add(interval.add(interval.carry(point), 0.5, slopes[0]), 0.5, second)
            return end, slopes[0]
        end = interval.carry(point)
        for weight, slope in zip(WEIGHTS[len(slopes) - 1], slopes, strict=True):
            end = interval.add(end, weight, slope)
        return end, *slopes[:3]


PNDM = PLMS()
