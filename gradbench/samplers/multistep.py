"""Multistep rules: the history lives in the state, so that a step can be taken again in any order.

y_{k+1} = y_k + h [(1 + w) F_k - w F_{k-1}],    w = h / (2 h_before);    the first step is Euler's.
"""

from dataclasses import dataclass
from typing import Any

from gradbench.samplers.base import Field, Interval, Rule


@dataclass(frozen=True)
class AdamsBashforth2(Rule):
    """Two-step Adams-Bashforth with variable steps; state (x, F_{k-1}) after the first step.

    References: Hairer, Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, section III.5.
    """

    order = 2
    stages = 1

    def step(self, field: Field, state: tuple[Any, ...], interval: Interval) -> tuple[Any, ...]:
        point, *history = state
        slope = field(interval.t0, point)
        if not history:
            return interval.add(interval.carry(point), 1.0, slope), slope
        assert interval.tau_before is not None
        w = interval.h / (2 * (interval.tau0 - interval.tau_before))
        end = interval.add(interval.carry(point), 1.0 + w, slope)
        return interval.add(end, -w, history[0]), slope


AB2 = AdamsBashforth2()
