"""The unit of work: one evaluation of the network, and one VJP of it, timed alone in the cell's process.

    T = (NFE_forward + NFE_backward) F + VJPs B

is the time of a gradient without overhead; F and B are the medians measured here.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradbench.measure.cost import seconds_of
from gradbench.problems.problem import Problem

REPEATS = 7


@dataclass(frozen=True)
class Unit:
    """Seconds of one evaluation without a tape, and of one pullback through an evaluation's tape."""

    evaluation: float
    vjp: float


def time_unit(problem: Problem, repeats: int = REPEATS) -> Unit:
    """F and B at the middle of the grid: the VJP with respect to the state and the problem's targets."""
    rollout, device = problem.rollout, problem.x_T.device
    t = rollout.grid[rollout.steps // 2]
    start = problem.x_T.detach().clone()

    def evaluate() -> None:
        with torch.no_grad():
            rollout.field(t, start)

    def pullback() -> Callable[[], Any]:
        """Records the tape; calling the result runs the backward pass."""
        with torch.enable_grad():
            x = start.requires_grad_()
            value = rollout.field(t, x)
            wrt: list[Tensor] = [x, *problem.wrt]
            direction = torch.ones_like(value)
        return lambda: torch.autograd.grad(value, wrt, direction, allow_unused=True)

    for warm in (evaluate, pullback()):
        warm()
    forward = [seconds_of(evaluate, device) for _ in range(repeats)]
    backward = [seconds_of(pullback(), device) for _ in range(repeats)]
    return Unit(statistics.median(forward), statistics.median(backward))
