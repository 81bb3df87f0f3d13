"""Scores of what an optimisation has done, besides its rewards."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.problems.problem import Problem
from gradbench.samplers.stochastic import StochasticRule


def diversity(x: Tensor) -> Tensor:
    """The mean distance |x_a - x_b| / sqrt(d) over the pairs of a batch (b, *x); 0 for a single sample."""
    flat = x.flatten(1)
    count = len(flat) * (len(flat) - 1)
    return torch.cdist(flat, flat).sum() / (max(count, 1) * flat.shape[1] ** 0.5)


@torch.no_grad()
def divergence(problem: Problem, base: Sequence[Tensor]) -> float:
    """KL(chain || base chain) per sample, estimated on the problem's own chain:

        E sum_k |mean_k - base_k|^2 / (2 std_k^2),

    mean_k and base_k being the means of step k with the present parameters and with `base`, from the same state. Steps
    without noise are left out. References: Fan et al., 2023, DPOK, arXiv:2305.16381 (the KL that it regularises).
    """
    rollout, rule = problem.rollout, problem.rollout.rule
    if not isinstance(rule, StochasticRule):
        raise UsageError("a chain without noise has no density, and no divergence: use a stochastic sampler")
    present = [leaf.clone() for leaf in problem.parameters]
    state, total = rollout.start(problem.x_T), 0.0
    for k in range(rollout.steps):
        interval = rollout.interval(k)
        (mean, *_), std = rule.transition(rollout.field, state, interval)
        _set(problem.parameters, base)
        other = rule.mean(rollout.field, state, interval)[0]
        _set(problem.parameters, present)
        if std:
            total += (mean - other).square().sum().item() / (2 * std**2 * len(problem.x_T))
        state = rollout.step(k, state)
    return total


def _set(leaves: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for leaf, value in zip(leaves, values, strict=True):
        leaf.copy_(value)
