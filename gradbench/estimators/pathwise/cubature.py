"""The exact expectation of a truncated estimate for an affine chain and a quadratic objective.

The estimate is then a quadratic function of the n entries of the noise. Its mean over the standard normal distribution
equals its mean over the 2n points +-sqrt(n) e_i (Stroud, 1971, Approximate calculation of multiple integrals: the
degree-3 rule for the normal weight). Random plans are averaged over their distribution. Independent step masks enter
linearly, so they are replaced by their expectations.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from gradbench.checks import UsageError
from gradbench.diffusion.batch import repeated
from gradbench.diffusion.noise import RecordedNoise
from gradbench.estimators.pathwise.plan import Plan
from gradbench.estimators.pathwise.truncated import Truncated, truncate
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.samplers.rollout import Rollout

MOST_TRAJECTORIES = 1 << 16  # trajectories of one batch


def expectation(problem: Problem, estimator: Truncated) -> Gradients:
    """E[estimate] over noise and plans, in float64.

    `ValueError` unless the chain is affine and L and the estimate are quadratic, or the chain draws no noise; and for
    plans that are too many to list.
    """
    plans, noisy = estimator.plans, problem.rollout.noise is not None
    if noisy and not (problem.denoiser.affine and getattr(problem.objective, "quadratic", False) and plans.quadratic):
        raise UsageError("an expectation is exact for an affine chain, a quadratic objective and such estimates only")
    exact = problem.to(torch.float64)
    rollout, points = on_points(exact)
    weights, whole = plans.mixture(exact.rollout)
    at_once, total = max(1, MOST_TRAJECTORIES // (points * len(exact.x_T))), Gradients()
    for first in range(0, len(weights), at_once):
        chosen = np.arange(first, min(first + at_once, len(weights)))
        copies = len(chosen) * points
        chain = rollout
        if isinstance(rollout.noise, RecordedNoise) and isinstance(rollout.noise.rows, torch.Tensor):
            chain = replace(rollout, noise=RecordedNoise(_tiled(rollout.noise.rows, len(chosen))))
        plan = whole.of(np.repeat(chosen, points * len(exact.x_T)))
        shares = torch.from_numpy(np.repeat(weights[chosen], points * len(exact.x_T)) / points)

        value = partial(_value, exact, chain, plan, copies, shares)
        total = total.plus(exact.differentiate_value(value)[0])
    return total


def _value(
    problem: Problem, chain: Rollout, plan: Plan, copies: int, shares: torch.Tensor, x_T: torch.Tensor
) -> torch.Tensor:
    """The objective of `copies` trajectories from every x_T under a plan, each with its share."""
    with problem.denoiser.repeated(copies):
        x_0 = truncate(chain, plan, repeated(x_T, copies), problem.wrt)
    return (shares * problem.objective(x_0)).sum()


def on_points(problem: Problem) -> tuple[Rollout, int]:
    """The chain with the cubature points as its noise, and their number; for a chain without noise, itself and 1."""
    rollout, shape = problem.rollout, problem.x_T.shape
    if rollout.noise is None:
        return rollout, 1
    n = problem.steps * shape[1:].numel()
    rows = n**0.5 * torch.cat([torch.eye(n), -torch.eye(n)]).double()
    noise = rows.reshape(2 * n, problem.steps, 1, *shape[1:]).expand(-1, -1, shape[0], *shape[1:])
    return replace(rollout, noise=RecordedNoise(noise.transpose(0, 1).flatten(1, 2))), 2 * n


def _tiled(rows: torch.Tensor, copies: int) -> torch.Tensor:
    return rows.repeat(1, copies, *[1] * (rows.ndim - 2))
