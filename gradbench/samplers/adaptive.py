"""Adaptive step sizes: a rule that crosses an interval in as many substeps as a tolerance requires."""

import math
from dataclasses import dataclass

import torch

from gradbench.samplers.base import Field, Interval, Point, Rule, State
from gradbench.samplers.runge_kutta import RungeKutta

MOST_SUBSTEPS = 10_000  # attempted substeps per interval


@dataclass(frozen=True)
class Adaptive(Rule):
    """An embedded Runge-Kutta pair with step-size control. A substep is accepted if its error estimate, divided by

        atol + rtol max(|x_k|, |x_{k+1}|)      in each component of the point,

    has root mean square at most 1. The error is measured in x, not in the chart's y, whose size varies over the range;
    quadratures that no field reads are left out (Kidger, Chen and Lyons, 2021, arXiv:2009.09457). Rejected attempts
    cost evaluations too. Raises `RuntimeError` if the substeps become too small or too many. References: Hairer,
    Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, section II.4.
    """

    base: RungeKutta
    rtol: float
    atol: float

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.base.order

    @property
    def stages(self) -> int:  # type: ignore[override]
        return self.base.stages

    def step(self, field: Field, state: State, interval: Interval) -> State:
        (point,) = state
        done, size = 0.0, 1.0
        for _ in range(MOST_SUBSTEPS):
            goal = 1.0 if done + size > 1 - 1e-9 else done + size
            part = interval.part(done, goal)
            end, second = self.base.solutions(field, point, part)
            error = self._error(point, end, second)
            if error <= 1:
                interval.accept(part)
                point, done = end, goal
                if done == 1.0:
                    return (point,)
            growth = 0.9 * error ** (-1 / self.base.order) if error else 5.0
            size = (
                (goal - done if error > 1 else size) * min(5.0, max(0.2, growth)) if math.isfinite(error) else size / 5
            )
            if size < 1e-10:
                break
        raise RuntimeError(
            f"the adaptive solve from t = {interval.t0:g} to {interval.t1:g} did not reach rtol {self.rtol:g} in "
            f"{MOST_SUBSTEPS} steps of at least 1e-10 of the interval: the equation is too stiff for an explicit rule"
        )

    def _error(self, point: Point, end: Point, second: Point) -> float:
        """The error estimate over its tolerance, in root mean square."""
        total, count = 0.0, 0
        for p, e, s in zip(*((q,) if isinstance(q, torch.Tensor) else q for q in (point, end, second)), strict=True):
            allowed = self.atol + self.rtol * torch.maximum(p.abs(), e.abs())
            total += ((e - s) / allowed).square().sum().item()
            count += e.numel()
        return math.sqrt(total / count)
