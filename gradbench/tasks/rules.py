"""How an estimated gradient moves tensors."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer


class Normalised(SGD):
    """x <- x - lr g_b / |g_b| for every sample b of a batch (b, *x).

    References: Goodfellow, Shlens and Szegedy, 2015, arXiv:1412.6572; Madry et al., 2018, arXiv:1706.06083 (steps of a
    fixed Euclidean length).
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step for the tensors that have a gradient."""
        for group in self.param_groups:
            for tensor in group["params"]:
                if tensor.grad is not None:
                    norms = tensor.grad.flatten(1).norm(dim=1).clamp(min=torch.finfo(tensor.dtype).tiny)
                    tensor.sub_(group["lr"] * tensor.grad / norms.reshape(-1, *[1] * (tensor.ndim - 1)))


def adam(tensors: Sequence[Tensor], lr: float) -> Optimizer:
    """Adam with its authors' decay rates. References: Kingma and Ba, 2015, arXiv:1412.6980, algorithm 1."""
    return Adam(list(tensors), lr=lr)


def descent(tensors: Sequence[Tensor], lr: float) -> Optimizer:
    """Plain gradient descent."""
    return SGD(list(tensors), lr=lr)


def normalised(tensors: Sequence[Tensor], lr: float) -> Optimizer:
    """Steps of length lr for every sample."""
    return Normalised(list(tensors), lr=lr)


RULES: dict[str, Callable[[Sequence[Tensor], float], Optimizer]] = {
    "adam": adam,
    "descent": descent,
    "normalised": normalised,
}
