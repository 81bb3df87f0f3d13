"""A task: tensors that move along estimated gradients of an objective, and the scores that judge where they go."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gradbench.estimators.base import GradientEstimate
from gradbench.problems.problem import Problem
from gradbench.tasks.rules import RULES


def leaves_of(problem: Problem, target: str) -> tuple[Tensor, ...]:
    """The tensors that the chain itself reads, one per step for a target of all steps."""
    steps = problem.step_leaves
    return tuple(steps.rows(target)) if target in steps.targets else problem.of(target)


class Task:
    """Moves the targets of a problem so that its objective rises, or falls if `falling`.

    A subclass overrides what differs: `at`, the problem of an update; `project`, a constraint; `scores`; `ended`; and
    `pictures`, with `beside`, if there is something to look at.

    problem: as the cell's options make it, its objective a module; the tensors of its targets move in place. params:
    those of the case, with `updates`, the number of updates; `lr`; `rule`, one of `RULES`; and `checkpoints`, the
    number of places on the way, the first update among them, where the exact gradient is computed too.
    """

    falling = False

    def __init__(self, problem: Problem, params: Mapping[str, Any]) -> None:
        self.problem, self.params = problem, params
        self.updates: int = params["updates"]
        self.moving = {target: leaves_of(problem, target) for target in problem.targets}
        self.rule = RULES[params["rule"]]([leaf for own in self.moving.values() for leaf in own], params["lr"])

    @property
    def tensors(self) -> list[Tensor]:
        """Every tensor that moves."""
        return [leaf for own in self.moving.values() for leaf in own]

    def checkpoint(self, update: int) -> bool:
        """Whether the exact gradient is wanted before this update."""
        return update % max(1, self.updates // self.params["checkpoints"]) == 0

    def at(self, update: int) -> Problem:
        """The problem whose gradient is estimated for this update; it holds the tensors that move."""
        return self.problem

    def move(self, estimate: GradientEstimate) -> None:
        """One update; a target that the estimator does not reach stays where it is."""
        sign = 1 if self.falling else -1
        for target, own in self.moving.items():
            if target in estimate.grads:
                parts = estimate.grads.tensors(target)
                rows = parts if parts[0].shape == own[0].shape else parts[0].unbind(0)  # (N, b, *x) of N leaves
                for leaf, gradient in zip(own, rows, strict=True):
                    leaf.grad = (sign * gradient).to(leaf.dtype)
        self.rule.step()
        for leaf in self.tensors:
            leaf.grad = None
        with torch.no_grad():
            self.project()

    def project(self) -> None:
        """Moves the tensors back to where they may be, after every update."""

    def scores(self) -> dict[str, float]:
        """Scores of the tensors as they are now, `objective` and `held_out` among them; called without a tape."""
        raise NotImplementedError

    def pictures(self) -> Tensor | None:
        """What the tensors make as they are now, (n, c, h, w) in [0, 1], c 1 or 3; None if that is no picture."""
        return None

    def beside(self) -> Mapping[str, Tensor]:
        """Rows of pictures to compare them with, by name."""
        return {}

    def ended(self) -> bool:
        """Whether nothing is left to do before the last update."""
        return False
