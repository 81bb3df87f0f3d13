"""The objectives of the analytic cases: a weighted quadratic, with or without a sine that makes it non-quadratic."""

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.checks import UsageError


class Quadratic(nn.Module):
    """objective(x)_b = sum_i [ weight_i (x_bi - target_i)^2 / 2 + s sin(x_bi) ], s = 1 with `sine`, else 0.

    target, weight: (d) or the sample's shape; `ValueError` if they differ in shape or are not finite.
    """

    def __init__(self, target: Tensor, weight: Tensor, sine: bool = False) -> None:
        super().__init__()
        checks.shape("weight", weight.shape, target.shape)
        for name, value in (("target", target), ("weight", weight)):
            if not torch.isfinite(value).all():
                raise UsageError(f"{name} must be finite, got {value.tolist()!r:.80}")
        self.sine = sine
        self.target: Tensor
        self.weight: Tensor
        self.register_buffer("target", target)
        self.register_buffer("weight", weight)

    @property
    def quadratic(self) -> bool:
        """Whether it is a polynomial of degree two."""
        return not self.sine

    def expectation(self, mean: Tensor, variance: Tensor) -> Tensor:
        """E[objective(x)]_b for Gaussian x_b of mean (b, d) and variances (d).

        The quadratic gains weight_i variance_i / 2, and E sin(x_i) = exp(-variance_i / 2) sin(mean_i).
        """
        value = 0.5 * self.weight * ((mean - self.target) ** 2 + variance)
        return (value + torch.exp(-variance / 2) * torch.sin(mean) if self.sine else value).flatten(1).sum(1)

    def forward(self, x: Tensor) -> Tensor:
        value = 0.5 * self.weight * (x - self.target) ** 2
        return (value + torch.sin(x) if self.sine else value).flatten(1).sum(1)
