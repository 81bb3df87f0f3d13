"""Hooks of the tensors in `wrt`, which must see each gradient once and whole."""

import contextlib
from collections.abc import Iterator, Sequence

from torch import Tensor


@contextlib.contextmanager
def silenced(leaves: Sequence[Tensor]) -> Iterator[None]:
    """Context for a backward pass that takes the gradients of `leaves` step by step and returns their sums to torch.

    torch runs the hooks of a tensor, and fills in `.grad` after `retain_grad()`, whenever `torch.autograd.grad` names
    it. Within the context it runs none, so that the hooks see the sum alone.
    """
    hooks = [(leaf._backward_hooks, dict(leaf._backward_hooks)) for leaf in leaves if leaf._backward_hooks]
    retained = [(leaf, leaf.grad) for leaf in leaves if leaf.retains_grad]
    for own, _ in hooks:
        own.clear()
    try:
        yield
    finally:
        for own, kept in hooks:
            own.update(kept)
        for leaf, grad in retained:
            leaf.grad = grad
