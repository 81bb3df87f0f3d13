"""The estimate itself: shapes and meaning, every subset of the targets, a permuted batch."""

import itertools
import math
from dataclasses import replace

import torch

from gradbench.estimators.base import GradientEstimate, malformed
from gradbench.problems.gradients import Gradients, relative_error, tensors_of
from gradbench.problems.problem import Problem
from gradbench.problems.spec import TARGETS
from gradbench.testing.distance import apart, worst
from gradbench.testing.subject import Subject, place
from gradbench.testing.verdict import Skipped, demand

EQUAL = 1e-10  # relative, in float64
DRAWS = 256  # enough for the standard errors used to compare two Monte Carlo runs


def answer(subject: Subject) -> str:
    """Gradients are finite, shaped like their leaves, x_0 like x_T; without draws the objective is L(x_0)."""
    drift = 0.0
    for problem in subject.one_of_each():
        estimate = subject.estimate(problem)
        well_formed(problem, estimate)
        if estimate.draws is None:
            with torch.no_grad():
                value = problem.objective(estimate.x_0).sum().item()
                drift = max(drift, relative_error(estimate.x_0, problem.rollout.sample(problem.x_T)))
            error = abs(value - estimate.objective) / max(abs(value), 1e-12)
            message = f"its objective is {estimate.objective:.6g}, that of its x_0 {value:.6g} ({place(problem)})"
            demand(error <= 1e-6, message)
    return f"x_0 {drift:.1e} from the sampler's"


def well_formed(problem: Problem, estimate: GradientEstimate) -> None:
    """Raise `Failed` if the estimate is malformed or has numbers that are not finite."""
    wrong = malformed(problem, estimate)
    demand(wrong is None, f"{wrong} ({place(problem)})")
    for target, gradient in estimate.grads.items():
        finite = all(bool(torch.isfinite(part).all()) for part in tensors_of(gradient))
        demand(finite, f"the gradient of {target} is not finite ({place(problem)})")
    shape = tuple(estimate.x_0.shape)
    demand(shape == tuple(problem.x_T.shape), f"x_0 has shape {shape}, x_T {tuple(problem.x_T.shape)}")
    demand(math.isfinite(estimate.objective), f"the objective is {estimate.objective}")


def targets(subject: Subject) -> str:
    """Every subset of the targets against all three; if exact or an order is declared, all must be reached."""
    found, reaches_all = [], subject.traits.exact or subject.traits.order is not None
    for problem in subject.one_of_each(draws=DRAWS):
        whole = subject.estimate(problem)
        missing = [t for t in problem.targets if t not in whole.grads]
        message = f"it gives no gradient of {', '.join(missing)} when all are requested ({place(problem)})"
        demand(not (reaches_all and missing), message)
        for asked in (a for size in (1, 2) for a in itertools.combinations(TARGETS, size)):
            part = replace(problem, targets=asked)
            if subject.refuses(part) is not None:
                continue
            estimate, where = subject.estimate(part), f"asked for {', '.join(asked)}"
            got, expected = list(estimate.grads), [t for t in asked if t in whole.grads]
            gives = f"it gives {', '.join(got) or 'nothing'}, asked for all {', '.join(expected) or 'none'} of these"
            demand(got == expected, f"{where} {gives} ({place(problem)})")
            found += [(ratio, f"{text}, {where}") for ratio, text in apart(estimate, whole, EQUAL)]
    if not found:
        raise Skipped("it reaches no target")
    ratio, where = worst(found)
    demand(ratio <= 1, f"gradients depend on which are requested: {where}; allowed {EQUAL:g}")
    return f"{len(found)} gradients, {where.partition(',')[0]} at most"


def batch(subject: Subject) -> str:
    """Permuting the batch and its noises permutes the gradient of x_T and leaves those of the leaves unchanged."""
    order, found = [2, 0, 1], []
    for problem in subject.one_of_each(batch=3, draws=DRAWS):
        noise, own = problem.noise, problem.rollout.noise
        if own is not None:
            noise = torch.stack([own(k) for k in range(problem.steps)])
            problem = replace(problem, noise=noise)
            noise = noise[:, order]
        first = subject.estimate(problem)
        moved = subject.estimate(replace(problem, x_T=problem.x_T[order], noise=noise))
        if "x_T" in first.grads:
            first = replace(first, **{name: _ordered(getattr(first, name), order) for name in ("grads", "std_error")})
        found += [(ratio, f"{text}, {place(problem)}") for ratio, text in apart(moved, first, EQUAL)]
    if not found:
        raise Skipped("it reaches no target")
    ratio, where = worst(found)
    demand(ratio <= 1, f"a permuted batch has a different gradient: {where}; allowed {EQUAL:g}")
    return f"{where.partition(',')[0]} at most"


def _ordered(grads: Gradients | None, order: list[int]) -> Gradients | None:
    return grads and {**grads, "x_T": grads["x_T"][order]}  # type: ignore[index]
