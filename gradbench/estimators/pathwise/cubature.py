"""The exact expectation of a truncated estimate for an affine chain and a quadratic objective.

The estimate is then a quadratic function of the n entries of the noise. Its mean over the standard normal distribution
equals its mean over the 2n points +-sqrt(n) e_i (Stroud, 1971, Approximate calculation of multiple integrals: the
degree-3 rule for the normal weight). Random plans are averaged over their distribution. Independent step masks enter
linearly, so they are replaced by their expectations.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from gradbench.checks import UsageError
from gradbench.diffusion.batch import repeated
from gradbench.diffusion.noise import RecordedNoise
from gradbench.estimators.monte_carlo.base import Block, mean_of
from gradbench.estimators.pathwise.truncated import Truncated
from gradbench.estimators.pathwise.truncation import Plan, PlanDistribution
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.samplers.rollout import Rollout


def expectation(problem: Problem, estimator: Truncated) -> Gradients:
    """E[estimate] over noise and plans, in float64; `ValueError` unless the chain is affine and L quadratic."""
    if not (problem.denoiser.affine and getattr(problem.objective, "quadratic", False)):
        raise UsageError("an expectation is exact for an affine chain and a quadratic objective only")
    exact = problem.to(torch.float64)
    rollout, points = on_points(exact)
    block = Block(exact, rollout, repeated(exact.x_T, points), points, np.random.default_rng(0))
    total = Gradients()
    for weight, plan in estimator.plans.mixture(exact.steps):
        mean = mean_of(exact, Truncated(_Fixed(plan)).made(block), points)
        total = total.plus(mean.map(lambda gradient, weight=weight: weight * gradient))
    return total


def on_points(problem: Problem) -> tuple[Rollout, int]:
    """The chain with the cubature points as its noise, and their number; for a chain without noise, itself and 1."""
    rollout, shape = problem.rollout, problem.x_T.shape
    if rollout.noise is None:
        return rollout, 1
    n = problem.steps * shape[1:].numel()
    rows = n**0.5 * torch.cat([torch.eye(n), -torch.eye(n)]).double()
    noise = rows.reshape(2 * n, problem.steps, 1, *shape[1:]).expand(-1, -1, shape[0], *shape[1:])
    return replace(rollout, noise=RecordedNoise(noise.transpose(0, 1).flatten(1, 2))), 2 * n


@dataclass(frozen=True)
class _Fixed(PlanDistribution):
    """The same plan for every sample."""

    one: Plan

    def draw(self, steps: int, samples: int, random: np.random.Generator) -> Plan:
        wide = {name: np.repeat(getattr(self.one, name), samples, -1) for name in ("active", "alive", "stop")}
        return replace(self.one, **wide)

    def mixture(self, steps: int) -> Iterator[tuple[float, Plan]]:
        yield 1.0, self.one
