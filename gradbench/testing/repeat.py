"""Repeatability: results depend bitwise on the problem alone, and draws on its seed."""

import random
from dataclasses import replace

import numpy as np
import torch

from gradbench.estimators.base import GradientEstimate
from gradbench.problems.gradients import flatten, relative_error
from gradbench.problems.problem import Problem
from gradbench.testing.ambient import ambient, restore
from gradbench.testing.distance import worst
from gradbench.testing.subject import Subject, place
from gradbench.testing.verdict import demand


def _same(a: GradientEstimate, b: GradientEstimate) -> bool:
    return a.grads.keys() == b.grads.keys() and all(
        torch.equal(flatten(a.grads[t]), flatten(b.grads[t])) for t in a.grads
    )


def _from(subject: Subject, problem: Problem, seed: int) -> GradientEstimate:
    """The estimate with every global generator at `seed`, on which it must not depend."""
    before = ambient()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        return subject.estimate(problem)
    finally:
        restore(before)


def deterministic(subject: Subject) -> str:
    """Two calls on one problem agree bitwise, though torch's, numpy's and Python's global generators differ."""
    problems = subject.one_of_each()
    for problem in problems:
        first, second = (_from(subject, problem, seed) for seed in (1, 2))
        error, where = worst(
            (relative_error(second.grads[t], g), t) for t, g in first.grads.items() if t in second.grads
        )
        message = f"two calls on one problem differ by {error:.1e} in {where or 'targets'} ({place(problem)})"
        demand(_same(first, second), message)
    return f"{2 * len(problems)} calls, equal bits"


def seeds(subject: Subject) -> str:
    """Equal seeds give equal results, other seeds other draws and noises; without randomness the seed has no effect."""
    drawn = differ = 0
    for problem in subject.one_of_each():
        stochastic = problem.sampler.traits.stochastic
        first, other, again = (subject.estimate(replace(problem, seed=seed)) for seed in (1, 2, 1))
        demand(_same(first, again), f"seed 1 twice gives two gradients ({place(problem)})")
        same = _same(first, other)
        if stochastic or first.draws is not None:
            drawn, differ = drawn + 1, differ + (not same)
            message = f"seeds 1 and 2 give the same gradient ({place(problem)}): the seed is ignored"
            demand(not (stochastic and same), message)
        else:
            demand(
                same,
                f"seeds 1 and 2 differ ({place(problem)}), although the chain has no noise and no draws are reported",
            )
    demand(differ > 0 or not drawn, "seeds 1 and 2 give the same gradient: the seed is ignored")
    return f"{differ} of {drawn} problems differ by seed" if drawn else "no draws, and no dependence on the seed"
