"""The updates and the scores of reward fine-tuning."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradbench.objectives.jpeg import JPEGSize
from gradbench.problems.problem import Problem
from gradbench.tasks.drawn import fresh
from gradbench.tasks.scores import divergence, diversity
from gradbench.tasks.task import Task

from .. import trained
from ..digits.slant import slant


class Align(Task):
    """Raises the mean reward of pictures of the seen prompts, or lowers it, one prompt an update, from fresh noise.

    The network starts as it was trained: lora_B = 0. Scores, on noise of their own: `objective`, the reward of seen
    prompts; `held_out`, the same by the held-out judge; `unseen`, the reward of held-out prompts; `diversity` of the
    pictures; and `divergence` from the base network, where the sampler draws noise.
    """

    def __init__(self, problem: Problem, params: Mapping[str, Any]) -> None:
        self.falling = trained.falls(params)
        self.names = [name for _, name in trained.terms(params)]
        super().__init__(problem, params)
        model = trained.MODELS[params["model"]]
        self.seen = [trained.prompt(problem, params, name) for name in model.seen]
        self.unseen = [trained.prompt(problem, params, name) for name in model.unseen]
        trained.unadapt(problem.parameters)
        self.base = [leaf.detach().clone() for leaf in problem.parameters]

    def at(self, update: int) -> Problem:
        prompt = self.seen[update % len(self.seen)]
        trained.tell(self.problem, prompt.condition)
        return replace(fresh(self.problem, update), objective=prompt.reward)

    @property
    def prompts(self) -> list[trained.Prompt]:
        """All prompts, the seen ones first."""
        return [*self.seen, *self.unseen]

    def pictures(self) -> Tensor:
        x_0 = trained.one_of_each(self.problem, [prompt.condition for prompt in self.prompts])
        return trained.pictured(self.seen[0].reward, x_0)

    def scores(self) -> dict[str, float]:
        with trained.read(self.problem, [prompt.condition for prompt in self.prompts]) as many:
            made = many.rollout.sample(many.x_T).chunk(len(self.prompts))
            far = divergence(many, self.base) if many.sampler.traits.stochastic else None
        seen, unseen = made[: len(self.seen)], made[len(self.seen) :]
        found = {
            "objective": _mean([p.reward(x) for p, x in zip(self.seen, seen, strict=True)]),
            "held_out": _mean([p.judge(x) for p, x in zip(self.seen, seen, strict=True)]),
            "unseen": _mean([p.reward(x) for p, x in zip(self.unseen, unseen, strict=True)]),
            "diversity": _mean([diversity(x) for x in seen]),
        }
        if "jpeg-size" in self.names:
            sizes = [JPEGSize().real_size(trained.pictured(self.seen[0].reward, x)).float().mean() for x in seen]
            found["bytes"] = _mean(sizes)
        if "preference" in self.names:
            found["slant"] = _mean([slant(x) for x in seen])
        return found if far is None else {**found, "divergence": far}


def _mean(parts: Sequence[Tensor]) -> float:
    return torch.cat([part.reshape(-1) for part in parts]).mean().item()
