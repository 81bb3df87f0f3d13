"""The updates and the scores of prompt inversion."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.problems.problem import Problem
from gradbench.tasks.drawn import judging
from gradbench.tasks.task import Task

from .. import trained


class PixelError(nn.Module):
    """objective(x)_b = mean over the pixels of (x_b - aim_b)^2, for aims (b, *x), or for copies of that batch."""

    def __init__(self, aims: Tensor) -> None:
        super().__init__()
        self.aims: Tensor
        self.register_buffer("aims", aims)

    def forward(self, x: Tensor) -> Tensor:
        """(copies b, *x) -> (copies b)."""
        errors = x.unflatten(0, (-1, len(self.aims))) - self.aims
        return errors.square().flatten(2).mean(2).flatten()


class Inversion(Task):
    """Lowers the pixel error of pictures made with the present embedding to those made with the hidden one.

    Both start from the same noises. The embedding starts as the second prompt's, the hidden one is the first prompt's.
    Scores: `objective`, the pixel error; `held_out`, the same from other noises; `distance`, that of the embedding from
    the hidden one, relative to where it started.
    """

    falling = True

    def __init__(self, problem: Problem, params: Mapping[str, Any]) -> None:
        model = trained.MODELS[params["model"]]
        hidden, first = (model.embedded(name, params).to(problem.x_T) for name in model.seen[:2])
        self.hidden, self.first, self.decoded = hidden, first, problem.objective
        self.aims = _pictures(problem, self.hidden)
        self.others = judging(problem, 0)
        self.unseen = _pictures(self.others, self.hidden)
        trained.tell(problem, self.first)
        super().__init__(replace(problem, objective=PixelError(self.aims)), params)

    def pictures(self) -> Tensor:
        return self._shown(self.problem.rollout.sample(self.problem.x_T))

    def beside(self) -> Mapping[str, Tensor]:
        return {"aim": self._shown(self.aims)}

    def _shown(self, x_0: Tensor) -> Tensor:
        return trained.pictured(self.decoded, x_0)

    def scores(self) -> dict[str, float]:
        assert self.problem.condition is not None
        own, other = (p.rollout.sample(p.x_T) for p in (self.problem, self.others))
        far = (self.problem.condition - self.hidden).norm() / (self.first - self.hidden).norm()
        return {
            "objective": PixelError(self.aims)(own).mean().item(),
            "held_out": PixelError(self.unseen)(other).mean().item(),
            "distance": far.item(),
        }


@torch.no_grad()
def _pictures(problem: Problem, condition: Tensor) -> Tensor:
    """x_0 of the problem's noise with another condition."""
    trained.tell(problem, condition)
    return problem.rollout.sample(problem.x_T)
