"""Helpers shared by the analytic distributions: checks of their arrays, and the variance after noising."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gradbench import checks
from gradbench.checks import UsageError


def check_law(arrays: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """`ValueError` for an array of the wrong shape, one that is not finite, and a standard deviation of 0."""
    for name, array in arrays.items():
        checks.shape(name, array.shape, shapes[name])
        if not torch.isfinite(array).all():
            raise UsageError(f"{name} must be finite, got {array.tolist()!r:.80}")
        if name == "log_std" and (torch.exp(2 * array) == 0).any():
            least = array.min().item()
            raise UsageError(f"log_std must give variances above 0, got log_std {least:g}: the covariance is singular")


def check_rotation(rotation: Tensor, dim: int) -> None:
    """`ValueError` for a matrix that is not (dim, dim) or not orthogonal to 1e-6."""
    checks.shape("rotation", rotation.shape, (dim, dim))
    matrix = rotation.double()
    defect = (matrix.T @ matrix - torch.eye(dim, dtype=torch.float64)).abs().max().item()
    if not defect <= 1e-6:
        raise UsageError(f"rotation must be orthogonal to 1e-6, got |Q^T Q - 1| = {defect:.1e}")


def noised(variance: Tensor, alpha: float | Tensor, sigma: float | Tensor) -> Tensor:
    """alpha^2 variance + sigma^2: the variance of alpha x_0 + sigma eps if x_0 has the given variance."""
    return alpha**2 * variance + sigma**2
