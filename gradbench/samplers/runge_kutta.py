"""Explicit Runge-Kutta rules in any chart: Euler in the noise chart is DDIM.

F_i = F(t(tau_0 + c_i h), y_0 + h sum_j a_ij F_j),      y_1 = y_0 + h sum_i b_i F_i.
"""

from dataclasses import dataclass
from typing import Any

from gradbench.samplers.base import Field, Interval, Rule


@dataclass(frozen=True)
class RungeKutta(Rule):
    """One step of an explicit tableau. nodes c (s), matrix a (s rows of up to s - 1), weights b (s)."""

    order: int
    nodes: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    @property
    def stages(self) -> int:  # type: ignore[override]
        return len(self.nodes)

    def step(self, field: Field, state: tuple[Any, ...], interval: Interval) -> tuple[Any, ...]:
        (point,) = state
        end, slopes = None, []
        for c, row, b in zip(self.nodes, self.matrix, self.weights, strict=True):
            stage = interval.carry(point, c)
            for a, slope in zip(row, slopes, strict=True):
                stage = interval.add(stage, a, slope, c) if a else stage
            slope = field(interval.time(c), stage)
            if b:
                end = interval.add(interval.carry(point) if end is None else end, b, slope)
            slopes.append(interval.recall(slope))
        return (end,)


EULER = RungeKutta(1, (0.0,), ((),), (1.0,))
MIDPOINT = RungeKutta(2, (0.0, 0.5), ((), (0.5,)), (0.0, 1.0))
HEUN = RungeKutta(2, (0.0, 1.0), ((), (1.0,)), (0.5, 0.5))
RK4 = RungeKutta(4, (0.0, 0.5, 0.5, 1.0), ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
