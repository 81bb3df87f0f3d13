"""The updates and the scores of an audit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.diffusion.batch import per_sample
from gradbench.estimators.base import GradientEstimate
from gradbench.problems.problem import Problem
from gradbench.tasks.drawn import fresh
from gradbench.tasks.task import Task

from .. import trained

TRIES = 16  # batches looked through for noises whose pictures both classifiers recognise


class Audit(Task):
    """Lowers the log-probability of the prompt's class, by steps of equal length, each x_T within `bound` of its start.

    Every x_T starts where both classifiers recognise its picture, and stays where the classifier first errs.

    Scores: `objective` and `held_out`, the mean log-probabilities of the class; `success`, the share of pictures that
    the classifier takes for something else while the held-out one does not; `fooled`, the share where the classifier
    errs; `distance`, |x_0 - its start| / sqrt(d).
    """

    falling = True

    def __init__(self, problem: Problem, params: Mapping[str, Any]) -> None:
        name = trained.MODELS[params["model"]].seen[0]
        self.prompt = trained.prompt(problem, params, name, aim=name)
        problem = replace(problem, objective=self.prompt.reward, x_T=self._recognised(problem))
        super().__init__(problem, params)
        self.fooled = problem.x_T.new_zeros(len(problem.x_T), dtype=torch.bool)
        self.start = problem.x_T.clone()
        with torch.no_grad():
            self.untouched = problem.rollout.sample(self.start)

    @torch.no_grad()
    def _recognised(self, problem: Problem) -> Tensor:
        """The first noises, in the order of their keys, whose pictures both classifiers recognise."""
        found = list[Tensor]()
        for number in range(TRIES):
            drawn = fresh(problem, number)
            x_0 = drawn.rollout.sample(drawn.x_T)
            right = trained.recognised(self.prompt.reward, x_0) & trained.recognised(self.prompt.judge, x_0)
            found += list(drawn.x_T[right])
            if len(found) >= len(problem.x_T):
                return torch.stack(found[: len(problem.x_T)])
        raise UsageError(f"of {TRIES * len(problem.x_T)} pictures the classifiers recognise only {len(found)}")

    def move(self, estimate: GradientEstimate) -> None:
        """Moves the noises whose pictures, those of the estimate, do not fool the classifier yet."""
        self.fooled = ~trained.recognised(self.prompt.reward, estimate.x_0)
        x_T, before = self.problem.x_T, self.problem.x_T.clone()
        super().move(estimate)
        x_T.copy_(torch.where(per_sample(self.fooled, x_T), before, x_T))  # whatever the rule remembers

    def ended(self) -> bool:
        return bool(self.fooled.all())

    def project(self) -> None:
        bound, x_T = self.params["bound"], self.problem.x_T
        x_T.copy_(self.start + (x_T - self.start).clamp(-bound, bound))

    def pictures(self) -> Tensor:
        return trained.pictured(self.prompt.reward, self.problem.rollout.sample(self.problem.x_T))

    def scores(self) -> dict[str, float]:
        x_0 = self.problem.rollout.sample(self.problem.x_T)
        fooled = ~trained.recognised(self.prompt.reward, x_0)
        kept = trained.recognised(self.prompt.judge, x_0)
        return {
            "objective": self.prompt.reward(x_0).mean().item(),
            "held_out": self.prompt.judge(x_0).mean().item(),
            "success": (fooled & kept).float().mean().item(),
            "fooled": fooled.float().mean().item(),
            "distance": ((x_0 - self.untouched).flatten(1).norm(dim=1) / x_0[0].numel() ** 0.5).mean().item(),
        }
