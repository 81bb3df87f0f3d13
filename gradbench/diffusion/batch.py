"""Tensors whose first axis runs over the samples of a batch."""

from torch import Tensor


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """One value per sample, (b), in a shape that broadcasts against `like`, (b, *x)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def repeated(x: Tensor, copies: int) -> Tensor:
    """`copies` copies of the samples x (b, *x), one batch after another: (copies b, *x)."""
    return x.repeat(copies, *[1] * (x.ndim - 1))
