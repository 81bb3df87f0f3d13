"""Networks without their weights: shapes on torch's `meta` device, from which memory is predicted."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch

_SKELETON: ContextVar[bool] = ContextVar("skeleton", default=False)


@contextlib.contextmanager
def skeleton() -> Iterator[None]:
    """Inside, what builds or loads a large network makes it on the `meta` device and reads its configuration only."""
    token = _SKELETON.set(True)
    try:
        yield
    finally:
        _SKELETON.reset(token)


def in_skeleton() -> bool:
    """Whether weights are to be left out."""
    return _SKELETON.get()


def device() -> torch.device:
    """The device that large networks are built on: `meta` inside `skeleton`, else the CPU."""
    return torch.device("meta" if in_skeleton() else "cpu")
