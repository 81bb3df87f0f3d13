"""Distances between a gradient and its reference, in float64.

A gradient is one vector: the whole batch together, and for parameters all tensors together. Numerator and denominator
are both sums over the batch, so the relative error is that of the batch mean.
"""

import math
import statistics

import torch
from torch import Tensor

from gradbench.problems.gradients import Gradient, Gradients, flatten, relative_error


def cosine(got: Gradient, expected: Gradient) -> float:
    """<got, expected> / (|got| |expected|); NaN if one of them is zero."""
    g, e = flatten(got), flatten(expected)
    norm = g.norm().item() * e.norm().item()
    return (g @ e).item() / norm if norm else math.nan


def norm_ratio(got: Gradient, expected: Gradient) -> float:
    """|got| / |expected|; NaN if the reference is zero."""
    norm = flatten(expected).norm().item()
    return flatten(got).norm().item() / norm if norm else math.nan


def sample_error(got: Tensor, expected: Tensor) -> float:
    """The median over the samples b of |got_b - expected_b| / |expected_b|, both (b, *x).

    For `relative_error` a batch is one vector, and one sample may have nearly all of its norm; here all count equally.
    For an even number of samples it is the mean of the middle two.
    """
    g, e = (part.detach().to("cpu", torch.float64).reshape(len(part), -1) for part in (got, expected))
    return statistics.median(relative_error(a, b) for a, b in zip(g, e, strict=True))


def apart(got: Gradients, method: Gradients, expected: Gradients) -> dict[str, float]:
    """The method's share of an error, method_error_T, and the rounding, rounding_error_T, relative to |expected|.

        method_error = |method - expected| / |expected|,    rounding_error = |got - method| / |expected|

    got: the estimate in the cell's precision. method: the same estimator's in the reference's. The two bound the whole
    error from both sides, |a - b| <= error <= a + b; if the first is below the second, precision is the limit.
    """
    found: dict[str, float] = {}
    for target in expected:
        if target in got and target in method:
            g, m, e = (part.flat(target) for part in (got, method, expected))
            norm = e.norm().item() or math.nan
            found[f"method_error_{target}"] = (m - e).norm().item() / norm
            found[f"rounding_error_{target}"] = (g - m).norm().item() / norm
    return found


def columns(kind: str, got: Gradients, expected: Gradients) -> dict[str, float]:
    """The columns <kind>_error_T, <kind>_cosine_T and <kind>_norm_ratio_T for every target T of both, and
    <kind>_sample_error_x_T.
    """
    measures = {"error": relative_error, "cosine": cosine, "norm_ratio": norm_ratio}
    shared = [target for target in expected if target in got]
    found = {
        f"{kind}_{measure}_{target}": function(got[target], expected[target])
        for target in shared
        for measure, function in measures.items()
    }
    if "x_T" in shared:
        found[f"{kind}_sample_error_x_T"] = sample_error(got["x_T"], expected["x_T"])  # type: ignore[index]
    return found
