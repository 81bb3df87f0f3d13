"""Multistep rules: the history lives in the state, so that a step can be taken again in any order.

y_{k+1} = y_k + h [(1 + w) F_k - w F_{k-1}];    the first step is Euler's.
"""

import math
from dataclasses import dataclass
from typing import Any

from gradbench.samplers.base import Field, Interval, Rule


@dataclass(frozen=True)
class TwoStep(Rule):
    """Extrapolation of the slope from two evaluations; state (x, F_{k-1}) after the first step.

    w = h / (2 h_before) with h the step of the chart's clock tau (Adams-Bashforth with variable steps), or with
    `logarithmic` the step of log tau: in the data chart that is DPM-Solver++(2M).

    References: Hairer, Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, section III.5; Lu et al.,
    2022, DPM-Solver++, arXiv:2211.01095, algorithm 2.
    """

    logarithmic: bool = False
    order = 2
    stages = 1

    def step(self, field: Field, state: tuple[Any, ...], interval: Interval) -> tuple[Any, ...]:
        point, *history = state
        slope = field(interval.t0, point)
        if not history:
            return interval.add(interval.carry(point), 1.0, slope), slope
        w = self._weight(interval)
        end = interval.add(interval.carry(point), 1.0 + w, slope)
        return interval.add(end, -w, history[0]), slope

    def _weight(self, interval: Interval) -> float:
        before, now, after = interval.before.tau0, interval.tau0, interval.tau0 + interval.h
        if self.logarithmic:
            before, now, after = (math.log(tau) if 0 < tau < math.inf else math.inf for tau in (before, now, after))
            if after == math.inf:  # the last step, to sigma = 0: no finite ratio, first order
                return 0.0
        return (after - now) / (2 * (now - before))


AB2 = TwoStep()
TWO_M = TwoStep(logarithmic=True)
