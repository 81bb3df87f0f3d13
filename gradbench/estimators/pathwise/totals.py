"""Gradients of the shared leaves, summed over the steps of a backward pass."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Totals:
    """Gradients of the shared leaves, accumulated in place; None for a leaf to which nothing was added."""

    def __init__(self, wrt: Sequence[Tensor]) -> None:
        self.wrt = wrt
        self.values: list[Tensor | None] = [None] * len(wrt)

    def add(self, grads: Sequence[Tensor | None], scale: float = 1.0) -> None:
        """totals += scale * grads."""
        for i, grad in enumerate(grads):
            if grad is not None:
                total = self.values[i]
                total = torch.zeros_like(self.wrt[i]) if total is None else total
                self.values[i] = total.add_(grad, alpha=scale)

    @property
    def whole(self) -> list[Tensor]:
        """The totals, with zeros for leaves to which nothing was added."""
        pairs = zip(self.wrt, self.values, strict=True)
        return [torch.zeros_like(leaf) if total is None else total for leaf, total in pairs]
