"""Weights other than the current ones: those from which stale samples were drawn."""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor


@contextlib.contextmanager
def elsewhere(leaves: Sequence[Tensor], stale: float, random: np.random.Generator) -> Iterator[None]:
    """Context in which every leaf is moved by `stale` of its norm, in a random normal direction; 0 moves nothing."""
    if not stale:
        yield
        return
    kept = [leaf.detach().clone() for leaf in leaves]
    try:
        with torch.no_grad():
            for leaf in leaves:
                step = torch.from_numpy(random.standard_normal(tuple(leaf.shape))).to(leaf)
                leaf.add_(step, alpha=stale * (leaf.norm().item() / leaf.numel() ** 0.5))
        yield
    finally:
        with torch.no_grad():
            for leaf, value in zip(leaves, kept, strict=True):
                leaf.copy_(value)
