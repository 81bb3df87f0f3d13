"""Baselines: results of a run that every machine must reproduce, in a committed file.

One JSON line per cell with its identity, status, gradients, counts and bytes, but no times or machine; numbers have
nine digits and lines are sorted, so that two baselines differ only if results do.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.bench.columns import IDENTITY, TABLE, Type
from gradbench.bench.row import Row
from gradbench.checks import UsageError

_BASELINE = [column for column in TABLE if column.baseline]
MEASURES = tuple(
    column.name for column in sorted(_BASELINE, key=lambda column: column.type is Type.REAL)
)  # counts first
KEPT = (*IDENTITY, "schema", "cell_id", "replicate", "status", "reason", "torch", *MEASURES)


def write_baseline(rows: Sequence[Row], path: Path) -> int:
    """Writes each cell's first replicate to `path`, replacing it atomically; returns the number of cells."""
    if path.suffix != ".jsonl":
        raise UsageError(f"a baseline is a .jsonl file, got {str(path)!r}")
    first: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["replicate"]):
        first.setdefault(row["cell_id"], row)
    kept = [{name: _rounded(row[name]) for name in KEPT if row.get(name) is not None} for row in first.values()]
    lines = sorted(json.dumps({**row, "replicate": 0}, separators=(",", ":")) for row in kept)
    temporary = path.with_suffix(".tmp")
    with checks.writing("baseline", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text("".join(f"{line}\n" for line in lines))
        temporary.replace(path)
    return len(lines)


def _rounded(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, float) else value
