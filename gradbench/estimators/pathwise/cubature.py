"""The exact expectation of a truncated estimate, where the chain is affine and the objective quadratic.

Of such a chain the estimate is a quadratic function of its n noises, whose mean over the standard normal law is that
over the 2n points +-sqrt(n) e_i (Stroud, 1971, Approximate calculation of multiple integrals: the degree-3 rule of the
normal weight). Random plans are averaged over their law; independent masks of steps enter linearly, by their
expectations.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.diffusion.noise import RecordedNoise
from gradbench.estimators.monte_carlo.base import Block, mean_of
from gradbench.estimators.pathwise.truncated import Truncated
from gradbench.estimators.pathwise.truncation import Law, Plan
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.samplers.rollout import Rollout


def expectation(problem: Problem, estimator: Truncated) -> Gradients:
    """E[estimate] over noises and plans, in float64; `ValueError` where the chain is not affine or L not quadratic."""
    if not (problem.denoiser.affine and getattr(problem.objective, "quadratic", False)):
        raise UsageError("an expectation is exact for an affine chain and a quadratic objective only")
    exact = problem.to(torch.float64)
    rollout, points = on_points(exact)
    x_T = exact.x_T.repeat(points, *[1] * (exact.x_T.ndim - 1))
    block = Block(exact, rollout, x_T, points, np.random.default_rng(0))
    total: dict[str, Tensor] = {}
    shapes: Gradients = {}
    for weight, plan in estimator.law.mixture(exact.steps):
        mean = mean_of(exact, Truncated(_Fixed(plan)).made(block), points)
        for target, gradient in mean.items():
            shapes[target] = gradient
            flat = torch.cat([part.flatten() for part in (gradient if isinstance(gradient, tuple) else (gradient,))])
            total[target] = total.get(target, torch.zeros_like(flat)) + weight * flat
    return {target: _shaped(total[target], example) for target, example in shapes.items()}


def on_points(problem: Problem) -> tuple[Rollout, int]:
    """The chain with the points of the rule as its noises, and their number; the chain itself where it draws none."""
    rollout, shape = problem.rollout, problem.x_T.shape
    if rollout.noise is None:
        return rollout, 1
    n = problem.steps * shape[1:].numel()
    rows = n**0.5 * torch.cat([torch.eye(n), -torch.eye(n)]).double()
    noise = rows.reshape(2 * n, problem.steps, 1, *shape[1:]).expand(-1, -1, shape[0], *shape[1:])
    return replace(rollout, noise=RecordedNoise(noise.transpose(0, 1).flatten(1, 2))), 2 * n


def _shaped(flat: Tensor, example: "Tensor | tuple[Tensor, ...]") -> "Tensor | tuple[Tensor, ...]":
    if isinstance(example, Tensor):
        return flat.reshape(example.shape)
    sizes = [part.numel() for part in example]
    return tuple(f.reshape(part.shape) for f, part in zip(flat.split(sizes), example, strict=True))


@dataclass(frozen=True)
class _Fixed(Law):
    """One plan, for every sample."""

    one: Plan

    def plan(self, steps: int, samples: int, random: np.random.Generator) -> Plan:
        wide = {name: np.repeat(getattr(self.one, name), samples, -1) for name in ("active", "alive", "stop")}
        return replace(self.one, **wide)

    def mixture(self, steps: int) -> Iterator[tuple[float, Plan]]:
        yield 1.0, self.one
