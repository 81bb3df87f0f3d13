"""Sums of objectives."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gradbench import checks


class WeightedSum(nn.Module):
    """objective(x)_b = sum_i w_i objective_i(x)_b.

    terms: pairs (w_i, objective_i), at least one; `ValueError` for a weight that is not a finite number.
    """

    def __init__(self, terms: Iterable[tuple[float, nn.Module]]) -> None:
        super().__init__()
        pairs = list(terms)
        checks.positive_integer("the number of terms", len(pairs))
        self.weights = [checks.finite("weight", weight) for weight, _ in pairs]
        self.objectives = nn.ModuleList(objective for _, objective in pairs)

    def forward(self, x: Tensor) -> Tensor:
        values = [w * objective(x) for w, objective in zip(self.weights, self.objectives, strict=True)]
        return torch.stack(values).sum(0)
