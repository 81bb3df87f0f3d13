"""Bias, variance and signal-to-noise ratio of Monte Carlo estimators, from means over equal parts of their draws."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from gradbench.data import Columns
from gradbench.estimators.base import GradientEstimate
from gradbench.problems.gradients import flatten
from gradbench.references.reference import Reference


def columns(estimate: GradientEstimate, reference: Reference | None) -> Columns:
    """By target T, with m the estimate, g the expected gradient and m_j the means of parts of s draws:

        bias_T = <m - g, g>/|g|^2,     bias_norm_T = |m - g|/|g|,
        std_error_T = that of bias_T, from the spread of <m_j, g>/|g|^2,
        snr_T = |m| / (s trace cov m_j)^(1/2), the signal-to-noise ratio of one draw.

    A Monte Carlo reference comes in thirds r_1, r_2, r_3 (see `Thirds`), each in one place of a product:

        bias_T = <m - r_1, r_2>/<r_3, r_2>,    std_error_T^2 = var <m, r_2> + var <r_1, r_2>, over <r_3, r_2>^2,
        bias_norm_T^2 = the mean of <m - r_i, m - r_j> over that of <r_i, r_j>, i < j,

    so that an unbiased estimator has a bias of mean 0, whose ratio to its standard error has mean 0 and spread 1, at
    any noise of the reference. std_error_T holds for zero bias: for a large one, the reference's share is (1 + bias_T)
    times its own. Columns whose denominator is lost in noise (not positive) are left out.

    Only snr_T if the expected gradient is unknown; no column for an estimate without parts.
    """
    row: Columns = {}
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
        value, direction, scale, spread = _places(reference, target)
        unit = (scale @ direction).item()
        if unit:
            along = parts @ direction / unit
            own = along.std().item() / len(means) ** 0.5
            row[f"bias_{target}"] = ((mean - value) @ direction).item() / unit
            row[f"std_error_{target}"] = (own**2 + spread**2) ** 0.5
        pairs = list(combinations((value, direction, scale), 2))
        square = sum((a @ b).item() for a, b in pairs)
        if square > 0:
            off = sum(((mean - a) @ (mean - b)).item() for a, b in pairs)
            row[f"bias_norm_{target}"] = (max(off, 0.0) / square) ** 0.5
    return row


def _places(reference: Reference, target: str) -> tuple[Tensor, Tensor, Tensor, float]:
    """The stand-ins for g as a value, a direction and a scale, and the error of the value alone."""
    thirds = reference.thirds
    held: tuple[Mapping[str, Any], ...] = (
        (reference.grads,) * 3 if thirds is None else (thirds.value, thirds.direction, thirds.scale)
    )
    value, direction, scale = (flatten(part[target]).double() for part in held)
    spread = reference.spread if thirds is None else thirds.spread
    return value, direction, scale, abs(spread.get(target, 0.0))
