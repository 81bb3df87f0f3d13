"""Where large networks are built: on the device that will run them, or without their weights.

A skeleton has only shapes, on torch's `meta` device, for predicting memory.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch

_DEVICE: ContextVar[str] = ContextVar("device", default="cpu")
META = "meta"


@contextlib.contextmanager
def made_on(device: torch.device | str) -> Iterator[None]:
    """Context in which large networks are built on that device; inside `skeleton` they stay skeletons."""
    token = _DEVICE.set(META if in_skeleton() else str(device))
    try:
        yield
    finally:
        _DEVICE.reset(token)


def skeleton() -> contextlib.AbstractContextManager[None]:
    """Context in which large networks are built on the `meta` device and only their configurations are read."""
    return made_on(META)


def in_skeleton() -> bool:
    """Whether weights are to be left out."""
    return _DEVICE.get() == META


def device() -> torch.device:
    """The device on which large networks are built."""
    return torch.device(_DEVICE.get())


@contextlib.contextmanager
def drawn(seed: int) -> Iterator[None]:
    """Context in which networks are built on `device()` from `seed` by torch's initialisation; restores random states.

    On CUDA the numbers come from its own generator (Philox) and differ from a CPU's (Mersenne twister) for the same
    seed.
    """
    place = device()
    devices = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), place:
        torch.manual_seed(seed)
        yield
