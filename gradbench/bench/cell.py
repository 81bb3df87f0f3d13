"""A cell: one estimate of one problem, with all parameters given."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from gradbench.data import Columns
from gradbench.selector import Options


@dataclass(frozen=True, eq=False)
class Cell(Mapping[str, Any]):
    """The subject of a measurement. As a mapping it has the identity columns of a row, and `cell_id`."""

    case: str
    case_params: Options
    sampler: str
    sampler_params: Options
    steps: int
    estimator: str
    estimator_params: Options
    targets: tuple[str, ...]
    seed: int
    dtype: str
    device: str

    @staticmethod
    def of(row: Mapping[str, Any]) -> "Cell":
        """The cell of a row, or of a mapping with its identity."""
        own: Columns = {field.name: row[field.name] for field in fields(Cell)}
        own["targets"] = tuple(own["targets"])
        return Cell(**own)

    @cached_property
    def identity(self) -> Columns:
        """The identity columns by name, as stored in JSON."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        params = {name: dict(own[name]) for name in ("case_params", "sampler_params", "estimator_params")}
        return {**own, **params, "targets": list(self.targets)}

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits of the sha256 of the identity's canonical JSON: the same on every machine."""
        canonical = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def __getitem__(self, name: str) -> Any:
        return self.id if name == "cell_id" else self.identity[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.identity
        yield "cell_id"

    def __len__(self) -> int:
        return len(self.identity) + 1
