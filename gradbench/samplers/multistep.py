"""Multistep rules: the history is part of the state, so that steps can be recomputed in any order.

y_{k+1} = y_k + h [(1 + w) F_k - w F_{k-1}];    the first step is Euler's.
"""

import math
from dataclasses import dataclass

from gradbench.samplers.base import Field, Interval, Rule, State

SOLVERS = ("midpoint", "heun")


@dataclass(frozen=True)
class TwoStep(Rule):
    """Extrapolation of the slope from two evaluations; the state is (x_k, F_{k-1}) after the first step.

    w = h / (2 h_before), where h is the step in the chart's clock tau (variable-step Adams-Bashforth). With
    `logarithmic`, w = H / (2 H_before), where H is the step in log tau: in the data chart this is DPM-Solver++(2M). Its
    variant `heun` integrates the line in log tau through both slopes exactly, with
    w = (1 / (1 - exp(-H)) - 1 / H) H / H_before. A scheduler's `Stop` may ask for a first-order step, w = 0.

    References: Hairer, Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, section III.5; Lu et al.,
    2022, DPM-Solver++, arXiv:2211.01095, algorithm 2 and appendix B.2 (heun: diffusers' `solver_type`).
    """

    logarithmic: bool = False
    solver: str = "midpoint"
    order = 2
    stages = 1

    def step(self, field: Field, state: State, interval: Interval) -> State:
        point, *history = state
        slope = field(interval.t0, point)
        if not history:
            return interval.add(interval.carry(point), 1.0, slope), slope
        w = self._weight(interval)
        end = interval.add(interval.carry(point), 1.0 + w, slope)
        return interval.add(end, -w, history[0]), slope

    def _weight(self, interval: Interval) -> float:
        before, now, after = interval.before.tau0, interval.tau0, interval.tau0 + interval.h
        if not self.logarithmic:
            return (after - now) / (2 * (now - before))
        if interval.first_order or after == math.inf or before == 0:
            return 0.0  # a step to sigma = 0, or after one from alpha = 0, has no finite ratio
        step, last = math.log(after / now), math.log(now / before)
        if self.solver == "heun":
            return (1 / -math.expm1(-step) - 1 / step) * step / last
        return step / (2 * last)


AB2 = TwoStep()


def two_m(solver: str = "midpoint") -> TwoStep:
    """The rule of `dpm++2m[solver=midpoint|heun]`."""
    return TwoStep(logarithmic=True, solver=solver)


TWO_M = two_m()
