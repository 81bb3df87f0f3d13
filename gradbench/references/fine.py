"""The flow without a closed form: the ODE by an eighth-order rule, refined until it no longer changes."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.diffusion.grid import angle
from gradbench.diffusion.sde_chart import make_chart
from gradbench.estimators.pathwise.pathwise import checkpoint
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.runge_kutta import RungeKutta

if TYPE_CHECKING:
    from gradbench.problems.problem import Problem

TOLERANCE = 1e-13  # relative change of x_0 when the number of steps is doubled
FIRST, LAST = 16, 1024


def dop853() -> RungeKutta:
    """The twelve-stage rule of order eight. References: Hairer, Norsett and Wanner, 1993, section II.5 (DOP853)."""
    from scipy.integrate import DOP853

    stages = len(DOP853.B)
    matrix = tuple(tuple(map(float, DOP853.A[i, :i])) for i in range(stages))
    return RungeKutta(8, tuple(map(float, DOP853.C[:stages])), matrix, tuple(map(float, DOP853.B)))


def fine_flow(problem: "Problem", x_T: Tensor, t_max: float, t_min: float, chart: str = "angle") -> Tensor:
    """x_0 (b, *x) of the exact flow to 1e-13, on a tape that reaches x_T and the problem's leaves.

    The rule runs in a chart that is regular at both ends, on a grid uniform in the angle atan2(sigma, alpha), with the
    steps doubled until x_0 changes by less than the tolerance; the gradient is that of the finest chain. `ValueError`
    if 1,024 steps do not reach it.
    """
    denoiser, rule = problem.denoiser, dop853()
    frame = make_chart(chart, denoiser.schedule)

    def chain(steps: int) -> Rollout:
        return Rollout(denoiser, frame, rule, angle(denoiser.schedule, steps, t_max, t_min))

    steps = FIRST
    with torch.no_grad():
        coarse = chain(steps).sample(x_T.detach())
        while True:
            steps *= 2
            fine = chain(steps).sample(x_T.detach())
            if (fine - coarse).norm() <= TOLERANCE * fine.norm():
                break
            if steps >= LAST:
                change = ((fine - coarse).norm() / fine.norm()).item()
                raise UsageError(f"the flow still changes by {change:.1e} at {steps} steps, more than {TOLERANCE:g}")
            coarse = fine
    return checkpoint().sample(chain(steps), x_T, problem.wrt)
