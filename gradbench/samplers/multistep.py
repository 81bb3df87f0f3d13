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
        if interval.most_order == 1 or after == math.inf or before == 0:
            return 0.0  # a step to sigma = 0, or after one from alpha = 0, has no finite ratio
        step, last = math.log(after / now), math.log(now / before)
        if self.solver == "heun":
            return (1 / -math.expm1(-step) - 1 / step) * step / last
        return step / (2 * last)


@dataclass(frozen=True)
class ThreeM(Rule):
    """DPM-Solver++(3M) in the data chart, as its authors and diffusers run it; the state is (x_k, F_{k-1}, F_{k-2}).

    With H the step in log tau, r_0 = H_before / H, r_1 = H_before_that / H, D_0 = (F_k - F_{k-1}) / r_0,
    D_1 = (F_{k-1} - F_{k-2}) / r_1 and D = (D_0 - D_1) / (r_0 + r_1), a step adds to Euler's

        kappa_1 h [ phi (D_0 + r_0 D) + chi D ],    (1 - exp(-H)) (phi, chi) = (1 - f, 1/2 - (1 - f) / H),

    f = (1 - exp(-H)) / H. The exact integral of the parabola has 2 chi: the formula as published is of second order,
    with a small constant. The first step is Euler's, the second that of `TwoStep`.

    References: Lu et al., 2022, DPM-Solver++, arXiv:2211.01095; diffusers' DPMSolverMultistepScheduler.
    """

    order = 2
    stages = 1

    def step(self, field: Field, state: State, interval: Interval) -> State:
        point, *history = state
        slope = field(interval.t0, point)
        if len(history) < 2 or interval.most_order is not None or not self._finite(interval):
            end, _ = TWO_M.step(lambda t, x: slope, (point, *history[:1]), interval)
            return end, slope, *history[:1]
        now, third = self._weights(interval)
        end = interval.carry(point)
        for weight, each in zip((1.0 + now[0], now[1], third), (slope, *history), strict=True):
            end = interval.add(end, weight, each)
        return end, slope, history[0]

    def _finite(self, interval: Interval) -> bool:
        taus = [interval.tau0 + interval.h, interval.tau0, *(interval.chart.tau(t) for t in interval.past[:2])]
        return len(taus) == 4 and all(0 < tau < math.inf for tau in taus)

    def _weights(self, interval: Interval) -> tuple[tuple[float, float], float]:
        end, now = math.log(interval.tau0 + interval.h), math.log(interval.tau0)
        before, first = (math.log(interval.chart.tau(t)) for t in interval.past[:2])
        step = end - now
        r0, r1 = (now - before) / step, (before - first) / step
        whole = -math.expm1(-step)
        phi, chi = (1 - whole / step) / whole, (0.5 - (1 - whole / step) / step) / whole
        bend = (phi * r0 + chi) / (r0 + r1)  # of D_0 - D_1
        return (phi / r0 + bend / r0, -phi / r0 - bend / r0 - bend / r1), bend / r1


THREE_M = ThreeM()
AB2 = TwoStep()


def two_m(solver: str = "midpoint") -> TwoStep:
    """The rule of `dpm++2m[solver=midpoint|heun]`."""
    return TwoStep(logarithmic=True, solver=solver)


TWO_M = two_m()
