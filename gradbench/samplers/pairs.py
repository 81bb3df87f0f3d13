"""Rules of two evaluations that lie in log-SNR, or in two steps: DPM-Solver-2 of k-diffusion and DPM-Solver++(2S)."""

import math
from dataclasses import dataclass

from gradbench.diffusion.grid import Stop
from gradbench.samplers.base import Field, Interval, Rule, State


@dataclass(frozen=True)
class LogMidpoint(Rule):
    """The midpoint rule with its stage half-way in log tau: F at the stage moves the whole step.

    A step to sigma = 0 has no such stage and is Euler's. References: Crowson, k-diffusion, sample_dpm_2, after Lu et
    al., 2022, DPM-Solver, arXiv:2206.00927; diffusers' KDPM2DiscreteScheduler.
    """

    order = 2
    stages = 2

    def step(self, field: Field, state: State, interval: Interval) -> State:
        (point,), start, end = state, interval.tau0, interval.tau0 + interval.h
        slope = field(interval.t0, point)
        if not 0 < start * end < math.inf:
            return (interval.add(interval.carry(point), 1.0, slope),)
        c = (math.sqrt(start * end) - start) / interval.h
        stage = interval.add(interval.carry(point, c), c, slope, c)
        middle = interval.time(c) if interval.stage is None else Stop(interval.time(c), told=interval.stage)
        return (interval.add(interval.carry(point), 1.0, field(middle, stage)),)


@dataclass(frozen=True)
class TwoS(Rule):
    """DPM-Solver++(2S) over pairs of steps, in the data chart; the state is (x_k, x_{k-1}, F_{k-1}) inside a pair.

    The first step of a pair is Euler's. The second starts again where the pair began, over its whole length H in
    log tau, with the slope F_0 + (F_1 - F_0) / (2 r), r the first step's share of H. The last step is Euler's.

    References: Lu et al., 2022, DPM-Solver++, arXiv:2211.01095, algorithm 1; diffusers' DPMSolverSinglestepScheduler.
    """

    order = 2
    stages = 1

    def step(self, field: Field, state: State, interval: Interval) -> State:
        point, *begun = state
        slope = field(interval.t0, point)
        if interval.index % 2 == 0 or interval.left == 1:
            return interval.add(interval.carry(point), 1.0, slope), point, slope
        start, first = begun
        pair = Interval(interval.chart, interval.past[0], interval.t1)
        weight = self._weight(pair, interval.tau0)
        end = pair.add(pair.carry(start), 1.0 - weight, first)
        return (pair.add(end, weight, slope),)

    def _weight(self, pair: Interval, middle: float) -> float:
        """1 / (2 r); 0 where a step has no finite length in log tau."""
        start, end = pair.tau0, pair.tau0 + pair.h
        if not all(0 < tau < math.inf for tau in (start, middle, end)):
            return 0.0
        return math.log(end / start) / (2 * math.log(middle / start))


KDPM2, TWO_S = LogMidpoint(), TwoS()
