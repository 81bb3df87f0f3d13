"""Expected gradients from hours of draws, kept in a case's folder and used only for exactly the same problem.

expected.safetensors holds the means of three independent thirds of the draws by entry, place and target; expected.json
gives the problem, the number of draws and the error of each entry, and the sha256 of the file.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gradbench.checks import UsageError
from gradbench.data import Json
from gradbench.models.weights import RECORD as WEIGHTS
from gradbench.models.weights import digest
from gradbench.problems.gradients import Gradients, flatten
from gradbench.problems.problem import Problem
from gradbench.references.reference import Reference, Thirds

FILE, RECORD = "expected.safetensors", "expected.json"
PLACES = ("value", "direction", "scale")


def inputs_of(problem: Problem) -> str:
    """sha256 of the grid, to 12 decimals, and of x_T, condition and parameters, in float32: 16 hexadecimal digits."""
    found = hashlib.sha256(json.dumps([round(t, 12) for t in problem.rollout.grid]).encode())
    for tensor in (problem.x_T, *problem.leaves):
        found.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def identity(folder: Path, cell: Mapping[str, Any], problem: Problem) -> Json:
    """An entry's description of its problem: options of case and sampler, steps, weights, the inputs' digest."""
    return {
        "case_params": dict(cell["case_params"]),
        "sampler": cell["sampler"],
        "sampler_params": dict(cell["sampler_params"]),
        "steps": cell["steps"],
        "weights": digest(folder / WEIGHTS) if (folder / WEIGHTS).exists() else None,
        "inputs": inputs_of(problem),
    }


def stored(folder: Path, cell: Mapping[str, Any], problem: Problem, defaults: Mapping[str, Any]) -> Reference | None:
    """The stored expected gradient of a cell's problem, or None if there is none of exactly this problem.

    defaults: the case's, for options newer than an entry. Raises `ValueError` for a file whose digest is not the
    recorded one.
    """
    if not (folder / RECORD).exists():
        return None
    record, own = json.loads((folder / RECORD).read_text()), identity(folder, cell, problem)
    for name, entry in record["entries"].items():
        said = {**entry["problem"], "case_params": {**defaults, **entry["problem"]["case_params"]}}
        if said == own and set(problem.targets) <= set(entry["spread"]):
            return _reference(_load(folder, record["sha256"]), name, entry, problem)
    return None


def _load(folder: Path, expected: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    path = folder / FILE
    if not path.exists() or digest(path) != expected:
        found = f"has sha256 {digest(path)[:16]}..." if path.exists() else "is missing"
        raise UsageError(f"reference {path} {found}, recorded is {expected[:16]}...: restore it")
    return load(path.read_bytes())


def _reference(tensors: Mapping[str, torch.Tensor], name: str, entry: Mapping[str, Any], problem: Problem) -> Reference:
    def gradients(flat: Mapping[str, torch.Tensor]) -> Gradients:
        found = Gradients()
        for target, values in flat.items():
            leaves = problem.of(target)
            pieces = values.split([leaf.numel() for leaf in leaves])
            parts = tuple(piece.reshape(leaf.shape) for piece, leaf in zip(pieces, leaves, strict=True))
            found[target] = parts if target == "parameters" else parts[0]
        return found

    targets = problem.targets
    flat = {place: {t: tensors[f"{name}/{place}/{t}"].double() for t in targets} for place in PLACES}
    mean = {target: torch.stack([flat[place][target] for place in PLACES]).mean(0) for target in targets}
    spread, error = ({t: entry[kind][t] for t in targets} for kind in ("spread", "error"))
    value, direction, scale = (gradients(flat[place]) for place in PLACES)
    thirds = Thirds(value, direction, scale, spread)
    method = f"stored mean of {entry['draws']:,} pathwise gradients of their own noises, in {entry['dtype']}"
    own = {target: value / 3**0.5 for target, value in spread.items()}
    return Reference(gradients(mean), method, max(error.values()), own, entry["dtype"], thirds)


def entry_of(blocks: list[dict[str, torch.Tensor]], size: int) -> tuple[dict[str, torch.Tensor], Json]:
    """The tensors and numbers of an entry, from the flat mean gradients of blocks of `size` draws, by target.

    error: the root of the trace of the mean's covariance over |g|, with g's square less the noise in it.
    """
    blocks = blocks[: len(blocks) // 3 * 3]
    tensors, spread, error = {}, {}, {}
    for target in blocks[0]:
        rows = torch.stack([flatten(block[target]) for block in blocks])
        parts = {place: rows[i::3] for i, place in enumerate(PLACES)}
        means = {place: part.mean(0) for place, part in parts.items()}
        along = parts["value"] @ means["direction"] / (means["scale"] @ means["direction"])
        noise = rows.var(0).sum().item() / len(rows)
        square = (rows.mean(0) @ rows.mean(0)).item() - noise
        spread[target] = abs(along.std().item()) / len(along) ** 0.5
        error[target] = (noise / square) ** 0.5 if square > 0 else float("inf")
        tensors |= {f"{place}/{target}": mean.float() for place, mean in means.items()}
    return tensors, {"draws": len(blocks) * size, "error": error, "spread": spread}
