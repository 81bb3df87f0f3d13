"""Weights that ship in a case's folder, read from safetensors only, and only if the digest matches the record."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradbench.checks import UsageError
from gradbench.data import Json

if TYPE_CHECKING:
    from torch import Tensor

RECORD = "weights.json"  # {"digests": {file: sha256}, "facts": {...}}


def digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_record(folder: Path, files: Sequence[str], facts: Json) -> None:
    """Records the digests of `files`, and the measured facts about them, in the folder's weights.json."""
    record = {"digests": {name: digest(folder / name) for name in files}, "facts": facts}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def verify(folder: Path, name: str) -> bytes:
    """The content of folder/name; `ValueError` if it is missing, unreadable or not the recorded file."""
    path = folder / name
    try:
        expected = json.loads((folder / RECORD).read_text())["digests"][name]
        content = path.read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"weights {path} cannot be read: {error}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise UsageError(
            f"weights {path} have sha256 {found[:16]}..., recorded is {expected[:16]}...: restore the file"
        )
    return content


def load_weights(folder: Path, name: str) -> "dict[str, Tensor]":
    """The tensors of folder/name, after `verify`."""
    from safetensors.torch import load

    return load(verify(folder, name))
