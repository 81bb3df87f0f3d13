"""How far two estimates are apart: in relative norm, and where estimators draw in standard errors."""

import math
from collections.abc import Iterable

import torch

from gradbench.estimators.base import GradientEstimate
from gradbench.problems.gradients import Gradients, flatten, relative_error
from gradbench.testing.verdict import demand

ERRORS = 5.0  # standard errors, from 32 batch means and more: passed by chance once in 50,000 numbers


def worst(found: Iterable[tuple[float, str]]) -> tuple[float, str]:
    """The largest number, one that is NaN before all others, with where it was found; (0, "") of none."""
    return max(found, key=lambda pair: math.inf if math.isnan(pair[0]) else pair[0], default=(0.0, ""))


def deviation(got: GradientEstimate, expected: Gradients, target: str, errors: Gradients | None = None) -> float:
    """The largest |got - expected| of a component in standard errors, those of both sides together.

    errors: those of `expected`, None for an exact one. Rounding, 1e-9 of the largest component, is no difference.
    """
    mean, right = flatten(got.grads[target]), flatten(expected[target])
    square = flatten(got.std_error[target]) ** 2 if got.std_error else torch.zeros_like(mean)
    if errors is not None:
        square = square + flatten(errors[target]) ** 2
    rounding = 1e-9 * right.abs().max()
    return ((mean - right).abs() / (square + rounding**2).sqrt()).max().item()


def assert_close(got: Gradients, expected: Gradients, tolerance: float) -> None:
    """`Failed`, an AssertionError, where targets differ or a gradient is further off than `tolerance`, relative L2."""
    demand(got.keys() == expected.keys(), f"gradients of {', '.join(got)}, expected those of {', '.join(expected)}")
    error, target = worst((relative_error(got[t], expected[t]), t) for t in expected)
    demand(error <= tolerance, f"the gradient of {target} is {error:.1e} off, allowed {tolerance:g}")


def apart(got: GradientEstimate, expected: GradientEstimate, tolerance: float) -> list[tuple[float, str]]:
    """By target that both have, the relative distance over the tolerance, with the distance in words.

    Of estimators that draw it is the deviation over `ERRORS` where that is smaller: two runs with draws of their own.
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
