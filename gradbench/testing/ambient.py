"""Process-wide state, which an estimator may use but must leave unchanged."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def ambient() -> Mapping[str, object]:
    """The random state of each library, and torch's modes, by name."""
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
    """Restore the random states of torch, numpy and Python."""
    torch.set_rng_state(state["torch's random state"])
    np.random.set_state(state["numpy's random state"])
    random.setstate(state["Python's random state"])


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The names whose values differ; tensors must be equal in every element."""
    return [name for name, value in before.items() if not _equal(value, after[name])]


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    return a is b or a == b
