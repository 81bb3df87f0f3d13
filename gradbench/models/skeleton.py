"""Where large networks are made: on the device that will run them, or without their weights.

A skeleton has shapes on torch's `meta` device, from which memory is predicted.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch

_DEVICE: ContextVar[str] = ContextVar("device", default="cpu")
META = "meta"


@contextlib.contextmanager
def made_on(device: torch.device | str) -> Iterator[None]:
    """Inside, what builds a large network makes it on that device; a skeleton stays one."""
    token = _DEVICE.set(META if in_skeleton() else str(device))
    try:
        yield
    finally:
        _DEVICE.reset(token)


def skeleton() -> contextlib.AbstractContextManager[None]:
    """Inside, what builds or loads a large network makes it on the `meta` device and reads its configuration only."""
    return made_on(META)


def in_skeleton() -> bool:
    """Whether weights are to be left out."""
    return _DEVICE.get() == META


def device() -> torch.device:
    """The device that large networks are made on."""
    return torch.device(_DEVICE.get())


@contextlib.contextmanager
def drawn(seed: int) -> Iterator[None]:
    """Inside, networks are made there with torch's own initialisation by `seed`; random states are left as they were.

    On CUDA the numbers are those of its own generator (Philox), others than a CPU's (Mersenne twister) of the same
    seed.
    """
    place = device()
    devices = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), place:
        torch.manual_seed(seed)
        yield
