"""The updates and the scores of noise optimisation."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.estimators.base import GradientEstimate
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.tasks.task import Task

from .. import trained


class Shell(nn.Module):
    """(d - 1) log |e| - |e|^2 / 2: the log-density of the length of e ~ N(0, 1) in d dimensions, up to a constant.

    References: Samuel et al., 2023, arXiv:2306.08687; Eyring et al., 2024, arXiv:2406.04312 (its regulariser).
    """

    def forward(self, e: Tensor) -> Tensor:
        """(b, *x) -> (b)."""
        norm, size = e.flatten(1).norm(dim=1), e[0].numel()
        return (size - 1) * norm.log() - norm.square() / 2


class Noise(Task):
    """Raises the reward of each picture of a batch, or lowers it, by moving its x_T, or x_T and every step's noise.

    `shell`: "sphere" keeps the length of every noise as drawn (DOODL); "shell" adds the log-density of the length to
    the reward (ReNO), by its own gradient; "none" lets it go. Scores: `objective`, the reward; `held_out`, by the
    held-out judge; `length`, |x_T| / sqrt(d), near 1 for Gaussian noise.
    """

    def __init__(self, problem: Problem, params: Mapping[str, Any]) -> None:
        self.prompt, self.shell = trained.prompt(problem, params, trained.MODELS[params["model"]].seen[0]), Shell()
        further = ("noises",) if params["noises"] == "all" else ()
        self.falling = trained.falls(params)
        super().__init__(replace(problem, objective=self.prompt.reward, targets=(*problem.targets, *further)), params)
        self.lengths = [_length(leaf) for leaf in self.tensors]

    def project(self) -> None:
        for leaf, length in zip(self.tensors, self.lengths, strict=True):
            if self.params["shell"] == "sphere":
                leaf.mul_(length / _length(leaf))

    def move(self, estimate: GradientEstimate) -> None:
        if self.params["shell"] == "shell":
            sign = -1 if self.falling else 1  # the log-density rises, whatever the objective does
            rises = {target: sign * self._rise(target) for target in estimate.grads}
            estimate = replace(estimate, grads=estimate.grads.plus(Gradients(rises)))
        super().move(estimate)

    def _rise(self, target: str) -> Tensor:
        """The gradient of the shell's log-density in the tensors of a target."""
        with torch.enable_grad():
            rows = [row.detach().requires_grad_() for row in self.moving[target]]
            rises = torch.autograd.grad(torch.stack([self.shell(row).sum() for row in rows]).sum(), rows)
        return rises[0] if target == "x_T" else torch.stack(rises)

    def pictures(self) -> Tensor:
        return trained.pictured(self.prompt.reward, self.problem.rollout.sample(self.problem.x_T))

    def scores(self) -> dict[str, float]:
        x_0 = self.problem.rollout.sample(self.problem.x_T)
        return {
            "objective": self.prompt.reward(x_0).mean().item(),
            "held_out": self.prompt.judge(x_0).mean().item(),
            "length": (_length(self.problem.x_T) / math.sqrt(x_0[0].numel())).mean().item(),
        }


def _length(x: Tensor) -> Tensor:
    """|x_b| of every sample, in a shape that broadcasts."""
    return x.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
