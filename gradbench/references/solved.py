"""The flow of a network, solved twice: its ODE has no closed form and is too rough for a rule of high order.

Between the times of its training a network's output wiggles, by parts in a thousand, as fast as its time embedding. A
multistep rule with one network evaluation per step averages that out, whereas a rule with stages would have to resolve
it: 480 evaluations achieve what takes an eighth-order rule 1,500.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gradbench.diffusion.schedule import Schedule
from gradbench.diffusion.sde_chart import make_chart
from gradbench.estimators.pathwise.totals import Totals
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.samplers.base import ChartField


@dataclass(frozen=True)
class Solve:
    """An Adams-Bashforth solve: its order, its steps, its chart, and times uniform in t^power."""

    order: int
    steps: int
    chart: str
    power: float

    def __str__(self) -> str:
        return f"Adams-Bashforth {self.order}, {self.steps} steps uniform in t^{self.power:g}, {self.chart} chart"


FIRST, SECOND = Solve(4, 480, "angle", 0.7), Solve(3, 360, "log-snr", 0.5)
METHOD = f"{FIRST}; the tolerance is its distance from {SECOND}"


@dataclass(frozen=True)
class SolvedFlow:
    """Gradients of L of the exact flow, and the largest relative difference of a target between two solves."""

    grads: Gradients
    tol: float


def solved_flow(problem: Problem, first: Solve = FIRST, second: Solve = SECOND) -> SolvedFlow:
    """The gradients of L of the flow from grid[0] to grid[-1], in float64, by the first solve.

    The tolerance is their distance from those of the second, with another order, chart and times.
    """
    exact = problem.to(torch.float64)
    grads, again = (_gradients(exact, solve) for solve in (first, second))
    return SolvedFlow(grads, grads.disagreement(again))


def _gradients(problem: Problem, solve: Solve) -> Gradients:
    """The transpose of the solve's chain, for y' = F(y), y_{k+1} = y_k + sum_j c_kj F_j, is, from the end,

    g_j = sum_k c_kj a_{k+1},      a_j = a_{j+1} + (dF_j/dy)^T g_j,      dL/dp = sum_j (dF_j/dp)^T g_j.
    """
    denoiser, grid = problem.denoiser, problem.rollout.grid
    chart = make_chart(solve.chart, denoiser.schedule)
    times = _times(denoiser.schedule, solve, grid[0], grid[-1])
    clock = [chart.tau(t) for t in times]
    weights = [_weights(clock, k, solve.order) for k in range(len(times) - 1)]
    field = ChartField(denoiser, chart)

    points, slopes = [problem.x_T.detach() / chart.kappa(times[0])], []
    with torch.no_grad():
        for t, row in zip(times, weights, strict=False):
            slopes.append(field(t, points[-1] * chart.kappa(t)))
            points.append(points[-1] + sum(c * slopes[j] for j, c in row.items()))

    x_0 = (points[-1] * chart.kappa(times[-1])).requires_grad_()
    (cotangent,) = torch.autograd.grad(problem.objective(x_0).sum(), x_0)
    adjoint = cotangent * chart.kappa(times[-1])
    pulled = [torch.zeros_like(slope) for slope in slopes]
    totals = Totals(problem.wrt)
    for k in reversed(range(len(slopes))):
        for j, c in weights[k].items():
            pulled[j] += c * adjoint
        point = points[k].requires_grad_()
        with torch.enable_grad():
            slope = field(times[k], point * chart.kappa(times[k]))
        own, *rest = torch.autograd.grad(slope, [point, *problem.wrt], pulled[k], allow_unused=True)
        adjoint = adjoint + own
        totals.add(rest)
    return problem.gradients(adjoint / chart.kappa(times[0]), totals.whole)


def _times(schedule: Schedule, solve: Solve, t_max: float, t_min: float) -> list[float]:
    """Decreasing times; the first interval is taken in eighths, while the rule has no history yet."""
    inner = np.linspace(t_max**solve.power, t_min**solve.power, solve.steps + 1)[1:-1] ** (1 / solve.power)
    start = [t_max + (inner[0] - t_max) * k / 8 for k in range(8)]
    return [*map(float, start), *map(float, inner), t_min]


def _weights(clock: Sequence[float], k: int, order: int) -> dict[int, float]:
    """c_kj: the integral from clock[k] to clock[k + 1] of the polynomial that is 1 at clock[j], 0 at the other nodes.

    References: Hairer, Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, section III.5.
    """
    nodes, found = range(max(0, k - order + 1), k + 1), {}
    step = clock[k + 1] - clock[k]
    for j in nodes:
        basis = np.poly1d([1.0])
        for i in nodes:
            if i != j:  # in units of the step, from clock[k]
                basis *= np.poly1d([1.0, (clock[k] - clock[i]) / step]) / ((clock[j] - clock[i]) / step)
        found[j] = float(basis.integ()(1.0)) * step
    return found
