"""The state of the process that an estimator may use and must leave as it was."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def ambient() -> Mapping[str, object]:
    """Random states by library, and torch's modes."""
    return {
        "torch's random state": torch.get_rng_state(),
        "numpy's random state": np.random.get_state(),
        "Python's random state": random.getstate(),
        "the grad mode": torch.is_grad_enabled(),
        "the default dtype": torch.get_default_dtype(),
        "the number of threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def restore(state: Mapping[str, Any]) -> None:
    """The random states, put back."""
    torch.set_rng_state(state["torch's random state"])
    np.random.set_state(state["numpy's random state"])
    random.setstate(state["Python's random state"])


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The names whose values differ, tensors bit by bit."""
    return [name for name, value in before.items() if not _equal(value, after[name])]


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    return a is b or a == b
