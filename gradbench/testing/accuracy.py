"""Accuracy on known distributions: exactness, order and bias, each as the estimator declares it."""

import math
from dataclasses import replace

import numpy as np

import gradbench.references  # noqa: F401  # pyright: ignore[reportUnusedImport]  problems get their references from it
from gradbench.estimators.catalogue import make_estimator
from gradbench.problems.gradients import relative_error
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.testing.distance import ERRORS, deviation, worst
from gradbench.testing.subject import LAWS, Subject, place
from gradbench.testing.verdict import Skipped, demand, promise

EXACT, SLACK = 1e-10, 0.3
GRIDS = (120, 240, 480)
CHAINS = ("rk4", "belm", "reversible-heun", "dpm++2m", "ddim")  # the first that has the order and is not refused
DRAWS = 4096


def exact(subject: Subject) -> str:
    """The largest relative distance to float64 backprop of the sampler, over distributions, samplers and targets."""
    found, tried = [], 0
    for law in LAWS:
        for problem in subject.served(case=law, draws=2):
            estimate = subject.estimate(problem)
            if estimate.draws is not None:
                continue
            tried += 1
            right = make_estimator("backprop")(problem).grads
            found += [
                (relative_error(g, right[target]), f"{target} on {law}, {place(problem)}")
                for target, g in estimate.grads.items()
            ]
    if not found:
        raise Skipped("it draws: see unbiased" if not tried else "it reaches no target")
    error, where = worst(found)
    message = f"declared exact, but {error:.1e} from backprop in {where}; allowed {EXACT:g}"
    return promise(subject.traits.exact, error <= EXACT, f"{error:.1e} from backprop", message)


def order(subject: Subject) -> str:
    """The lowest order, over the targets, at which the gradient converges to the flow's on a Gaussian distribution.

    It is the least-squares slope of -log error against log N, on grids uniform in log-SNR, with a sampler of at least
    the declared order; errors at rounding level are left out.
    """
    promised = subject.traits.order
    fit = [name for name in CHAINS if (SAMPLERS[name].traits.order or 0) >= (promised or 1)]
    chains = [f"{name}[grid=uniform-log-snr]" for name in fit]
    first = next(subject.served(chains, steps=GRIDS[0], dim=2, draws=2))
    errors: dict[str, list[tuple[int, float]]] = {}
    for steps in GRIDS:
        problem = replace(first, steps=steps)
        estimate, flow = subject.estimate(problem), problem.flow_gradient()
        assert flow is not None
        if estimate.draws is not None:
            raise Skipped("it draws: see unbiased")
        for target, g in estimate.grads.items():
            error = relative_error(g, flow[target])
            demand(math.isfinite(error), f"the gradient of {target} is not finite ({place(problem)})")
            errors.setdefault(target, []).append((steps, error))
    slopes = {target: _slope(points) for target, points in errors.items()}
    seen = {target: slope for target, slope in slopes.items() if slope is not None}
    if not seen:
        raise Skipped("its errors against the flow are rounding")
    low = min(seen, key=lambda target: seen[target])
    points = ", ".join(f"{error:.1e} at N = {steps}" for steps, error in errors[low])
    measured = f"order {seen[low]:.2f} in {low}, {first.sampler.name}"
    message = f"declared order {promised}, fitted {seen[low]:.2f} in {low}: errors {points}"
    return promise(promised is not None, seen[low] >= (promised or 0) - SLACK, measured, message)


def _slope(points: list[tuple[int, float]]) -> float | None:
    kept = np.log([point for point in points if point[1] > 1e-11])
    return -float(np.polyfit(kept[:, 0], kept[:, 1], 1)[0]) if len(kept) > 1 else None


def unbiased(subject: Subject) -> str:
    """The largest deviation of a component from the expected gradient, in standard errors.

    Tested on a Gaussian against the exact expectation, and on a product mixture against independent pathwise draws.
    """
    found = []
    for law in ("gaussian", "product-mixture"):
        problem = subject.one_of_each(case=law, dim=2, batch=1, draws=DRAWS)[-1]
        estimate = subject.estimate(problem)
        if estimate.draws is None:
            raise Skipped("it does not draw")
        demand(estimate.std_error is not None, f"of {estimate.draws} draws it gives no std_error")
        expected, errors = problem.expected_gradient(), None
        if expected is None:
            other = replace(problem, seed=problem.seed + 1)
            reference = make_estimator("draft", k=problem.steps, draws=2 * DRAWS)(other)
            expected, errors = reference.grads, reference.std_error
        found += [
            (deviation(estimate, expected, target, errors), f"{target} on {law}, {place(problem)}")
            for target in estimate.grads
        ]
    if not found:
        raise Skipped("it reaches no target")
    size, where = worst(found)
    message = f"{size:.1f} standard errors from the expected gradient in {where}; declare it biased if that is intended"
    return promise(not subject.traits.biased, size <= ERRORS, f"{size:.1f} standard errors", message, "declared biased")
