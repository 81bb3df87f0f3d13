"""float32 against float64: the same gradient up to rounding, each in its own dtype."""

from dataclasses import replace

import torch

from gradbench.estimators.base import GradientEstimate
from gradbench.problems.gradients import flatten, tensors_of
from gradbench.problems.problem import Problem
from gradbench.testing.distance import apart, worst
from gradbench.testing.subject import Subject, place
from gradbench.testing.verdict import Skipped, demand

EPS = torch.finfo(torch.float32).eps
NUDGE, AMPLIFIED, LEAST = 4 * EPS, 100.0, 100 * EPS


def dtypes(subject: Subject) -> str:
    """The float32 gradient against the float64 one at the same rounded values, and the dtypes of all results.

    The relative tolerance is 100 eps plus 100 times the relative change of the float32 gradient when x_T changes by 4
    eps, which measures how the estimator amplifies rounding.
    """
    found = []
    for problem in subject.one_of_each(dtype="float32", draws=64):
        if problem.sampler.traits.stochastic:
            own = problem.rollout.noise
            problem = replace(problem, noise=torch.stack([own(k) for k in range(problem.steps)]))  # type: ignore[misc]
        exact = problem.to(torch.float64)
        if subject.refuses(exact) is not None:
            continue
        single, double = subject.estimate(problem), subject.estimate(exact)
        _typed(problem, single)
        _typed(exact, double)
        signs = torch.where(torch.arange(problem.x_T.numel()) % 2 == 0, 1.0, -1.0).reshape(problem.x_T.shape)
        nudged = subject.estimate(replace(problem, x_T=problem.x_T * (1 + NUDGE * signs)))
        for target, gradient in double.grads.items():
            norm = flatten(gradient).norm().item()
            if target not in single.grads or target not in nudged.grads or not norm:
                continue
            change = (flatten(nudged.grads[target]) - flatten(single.grads[target])).norm().item()
            allowed = LEAST + AMPLIFIED * change / norm
            one = replace(double, grads={target: gradient})
            found += [
                (r, f"{text}, allowed {allowed:.1e}, {place(problem)}") for r, text in apart(single, one, allowed)
            ]
    if not found:
        raise Skipped("it reaches no target in both types")
    ratio, where = worst(found)
    demand(ratio <= 1, f"float32 is not float64 rounded: {where}")
    return where.partition(",")[0]


def _typed(problem: Problem, estimate: GradientEstimate) -> None:
    for target, gradient in estimate.grads.items():
        for part, leaf in zip(tensors_of(gradient), problem.of(target), strict=True):
            demand(part.dtype == leaf.dtype, f"the gradient of {target} is {part.dtype}, its leaf {leaf.dtype}")
    demand(estimate.x_0.dtype == problem.x_T.dtype, f"x_0 is {estimate.x_0.dtype}, x_T {problem.x_T.dtype}")
