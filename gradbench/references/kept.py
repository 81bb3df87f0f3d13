"""References kept in a folder: for a full-size network, one takes as long as the cell that it judges."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from gradbench.problems.gradients import Gradients

NOT_OF_THE_PROBLEM = ("estimator", "estimator_params", "cell_id", "passes")
DIGITS = 5  # of a place among the parameters, so that names sort as places do
OF_THE_FLOW = ("case", "case_params", "targets", "seed", "dtype", "device")


def problem_key(cell: Mapping[str, Any], fingerprint: str) -> str:
    """16 hexadecimal digits for a cell's problem and the code that made it, the same for every estimator."""
    own = {name: value for name, value in cell.items() if name not in NOT_OF_THE_PROBLEM}
    canonical = json.dumps([own, fingerprint], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def flow_key(cell: Mapping[str, Any], grid: Sequence[float], fingerprint: str) -> str:
    """The same for a cell's flow, which depends on the sampler only through the two ends of its grid."""
    own = [{name: cell[name] for name in OF_THE_FLOW}, grid[0], grid[-1], fingerprint]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def kept(path: Path | None, make: Callable[[], Gradients]) -> Gradients:
    """The gradients in that safetensors file, made and written if it is missing; None keeps nothing."""
    if path is None:
        return make()
    from safetensors.torch import load_file, save_file

    if path.exists():
        return gradients_of(load_file(path))
    grads = make()
    tensors = {name: tensor.contiguous().cpu() for name, tensor in grads.named(DIGITS)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    save_file(tensors, partial)
    partial.replace(path)
    return grads


def gradients_of(tensors: Mapping[str, Tensor]) -> Gradients:
    """The gradients from tensors with these names."""
    grads = Gradients()
    for name in sorted(tensors):
        target, _, place = name.partition(".")
        grads[target] = (*(grads.tensors(target) if target in grads else ()), tensors[name]) if place else tensors[name]
    return grads
