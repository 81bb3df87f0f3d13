"""The exact expectation of a forward-process loss's gradient, for an affine chain and a quadratic objective.

x_0 is then Gaussian, over x_T as well as the noises, and the gradient is a polynomial of degree 4 in (x_0, e): its mean
equals that over the 2 n^2 + 1 points of a rule of degree 5 for the normal weight in n = 2 d dimensions,

    0 with weight 2/(n + 2),    +-(n + 2)^(1/2) e_i with (4 - n)/(2 (n + 2)^2),
    (n/2 + 1)^(1/2) (+-e_i +- e_j) with 1/(n + 2)^2

(Stroud, 1971, Approximate calculation of multiple integrals). The law of the times is summed, or integrated by Gauss's
rule.
"""

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.estimators.monte_carlo.forward_process import (
    AdvantageWeightedMatching,
    ForwardProcess,
    Noised,
    ReinforceAdjointMatching,
    strata,
)
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.references.affine import moments
from gradbench.samplers.rollout import Rollout

NODES = 128  # of Gauss's rule in time
POLYNOMIAL = ("uniform", "t", "t2", "memoryless")


def rule_of_degree_five(n: int) -> tuple[Tensor, Tensor]:
    """The weights (m) and the points (m, n)."""
    far, near = (n + 2) ** 0.5, (n / 2 + 1) ** 0.5
    points, weights = [np.zeros((1, n))], [np.full(1, 2 / (n + 2))]
    points += [sign * far * np.eye(n) for sign in (1, -1)]
    weights += [np.full(2 * n, (4 - n) / (2 * (n + 2) ** 2))]
    for i, j in combinations(range(n), 2):
        corner = np.zeros((4, n))
        corner[:, i], corner[:, j] = (1, 1, -1, -1), (1, -1, 1, -1)
        points.append(near * corner)
        weights.append(np.full(4, 1 / (n + 2) ** 2))
    return torch.from_numpy(np.concatenate(weights)), torch.from_numpy(np.concatenate(points))


def law_of_times(estimator: ForwardProcess, rollout: Rollout) -> list[tuple[float, float]]:
    """The times of one draw with their probabilities."""
    n, grid = rollout.steps, rollout.grid
    if estimator.law == "grid":
        return [(1 / n, grid[k]) for k in range(n)]
    if estimator.law == "stratified":
        parts = strata(n, estimator.times)
        return [(1 / (len(parts) * len(part)), grid[k]) for part in parts for k in part]
    places, weights = np.polynomial.legendre.leggauss(NODES)
    return [(w / 2, float(grid[-1] + (p + 1) / 2 * (grid[0] - grid[-1]))) for p, w in zip(places, weights, strict=True)]


def expectation(problem: Problem, estimator: ForwardProcess) -> Gradients:
    """E[estimate] over x_T, the noises, e and t, in float64, for as many samples as x_T has.

    `ValueError` unless the chain is affine, L quadratic, and the loss a polynomial in `summed` scale.
    """
    weighted = isinstance(estimator, AdvantageWeightedMatching) and estimator.weight in POLYNOMIAL
    known = weighted or isinstance(estimator, ReinforceAdjointMatching)
    affine = problem.denoiser.affine and getattr(problem.objective, "quadratic", False)
    if not (known and affine and estimator.scale == "summed" and not estimator.stale):
        raise UsageError("an expectation is exact for a polynomial loss, an affine chain and a quadratic objective")
    exact = problem.to(torch.float64)
    rollout, size = exact.rollout, exact.x_T.shape[1]
    basis = torch.cat([torch.zeros(1, size), torch.eye(size)]).double()
    with torch.no_grad():
        means, own = moments(rollout, basis * rollout.schedule.sigma(rollout.grid[0]))
    gain = means[1:] - means[0]
    factor = torch.linalg.cholesky(own + gain.T @ gain)
    weights, points = rule_of_degree_five(2 * size)
    x_0, e = means[0] + points[:, :size] @ factor.T, points[:, size:]
    with torch.no_grad():
        rewards = -exact.objective(x_0)
    advantage = (rewards - weights @ rewards) * weights

    def value(x_T: Tensor) -> Tensor:
        total = x_T.new_zeros(())
        for chance, t in law_of_times(estimator, rollout):
            at = Noised(rollout, x_0, e, t)
            v = at.predict()
            total = total + chance * estimator.loss(at, v, v.detach(), advantage).sum()
        return total

    found = exact.differentiate_value(value)[0].map(lambda gradient: len(exact.x_T) * gradient)
    return Gradients((target, gradient) for target, gradient in found.items() if target != "x_T")
