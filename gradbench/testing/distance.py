"""The distance between two estimates: in relative norm, or in standard errors for estimators that draw."""

import math
from collections.abc import Iterable

import torch

from gradbench.estimators.base import GradientEstimate
from gradbench.problems.gradients import Gradients, flatten, relative_error
from gradbench.testing.verdict import demand

ERRORS = 5.0  # standard errors, from at least 32 batch means: exceeded by chance once in 50,000 numbers


def worst(found: Iterable[tuple[float, str]]) -> tuple[float, str]:
    """The largest number, NaN above all others, with where it was found; (0, "") if there are none."""
    return max(found, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0], default=(0.0, ""))


def deviation(got: GradientEstimate, expected: Gradients, target: str, errors: Gradients | None = None) -> float:
    """The largest |got - expected| of a component, in standard errors of the difference.

    errors: those of `expected`; None if it is exact. Rounding counts as another error, 1e-9 of the largest component.
    """
    mean, right = flatten(got.grads[target]), flatten(expected[target])
    square = flatten(got.std_error[target]) ** 2 if got.std_error else torch.zeros_like(mean)
    if errors is not None:
        square = square + flatten(errors[target]) ** 2
    rounding = 1e-9 * right.abs().max()
    return ((mean - right).abs() / (square + rounding**2).sqrt()).max().item()


def assert_close(got: Gradients, expected: Gradients, tolerance: float) -> None:
    """Raise `Failed`, an AssertionError, if targets differ or a relative L2 error exceeds `tolerance`."""
    demand(got.keys() == expected.keys(), f"gradients of {', '.join(got)}, expected those of {', '.join(expected)}")
    error, target = worst((relative_error(got[t], expected[t]), t) for t in expected)
    demand(error <= tolerance, f"the gradient of {target} is {error:.1e} off, allowed {tolerance:g}")


def apart(got: GradientEstimate, expected: GradientEstimate, tolerance: float) -> list[tuple[float, str]]:
    """For each target that both have, the relative distance over the tolerance, with the distance in words.

    If both draw, the deviation over `ERRORS` replaces it where that is smaller, as their draws may differ.
    """
    found = []
    for target in expected.grads:
        if target not in got.grads:
            continue
        distance = relative_error(got.grads[target], expected.grads[target])
        ratio = distance / tolerance
        if got.draws is not None and expected.draws is not None and ratio > 1:
            ratio = min(ratio, deviation(got, expected.grads, target, expected.std_error) / ERRORS)
        found.append((ratio, f"{target} {distance:.1e} apart"))
    return found
