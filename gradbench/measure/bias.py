"""Bias, variance and signal-to-noise ratio of estimators that draw, from the means over equal parts of their draws."""

from typing import Any

import torch

from gradbench.estimators.base import GradientEstimate
from gradbench.measure.error import flatten
from gradbench.measure.reference import Reference


def columns(estimate: GradientEstimate, reference: Reference | None) -> dict[str, Any]:
    """By target T, with m the estimate, g the expected gradient and m_j the means of parts of s draws:

        bias_T = <m - g, g>/|g|^2,     bias_norm_T = |m - g|/|g|,
        std_error_T = that of bias_T, from the spread of <m_j, g>/|g|^2, with the reference's own added in squares,
        snr_T = |m| / (s trace cov m_j)^(1/2), the signal-to-noise ratio of one draw.

    snr_T and nothing else where the expected gradient is not known; no column of an estimate without parts.
    """
    row: dict[str, Any] = {}
    means = estimate.batch_means
    if means is None or len(means) < 2 or estimate.draws is None:
        return row
    size = estimate.draws / len(means)
    for target, gradient in estimate.grads.items():
        mean = flatten(gradient).double()
        parts = torch.stack([flatten(part[target]).double() for part in means])
        noise = (size * parts.var(0).sum()).sqrt().item()
        row[f"snr_{target}"] = mean.norm().item() / noise if noise else None
        if reference is None or target not in reference.grads:
            continue
        exact = flatten(reference.grads[target]).to(mean)
        square = (exact @ exact).item()
        if not square:
            continue
        along = parts @ exact / square
        own = along.std().item() / len(means) ** 0.5
        row[f"bias_{target}"] = ((mean - exact) @ exact).item() / square
        row[f"bias_norm_{target}"] = ((mean - exact).norm() / exact.norm()).item()
        row[f"std_error_{target}"] = (own**2 + reference.spread.get(target, 0.0) ** 2) ** 0.5
    return row
