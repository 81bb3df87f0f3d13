"""Rows on disk: one JSON line each, appended as soon as a cell ends; one shard per writer.

OUT/rows-<machine>-<pid>.jsonl, OUT/plan.json, OUT/logs/<cell_id>-<replicate>.txt; `rows.parquet` is built from them.
One run at a time holds OUT/.lock.
"""

import fcntl
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from gradbench import checks
from gradbench.bench.columns import COLUMNS, SCHEMA, TABLE, Type
from gradbench.bench.plan import Planned
from gradbench.bench.row import Key, Row
from gradbench.bench.schema import migrate
from gradbench.checks import UsageError
from gradbench.data import Json


def complete(row: Mapping[str, Any]) -> Json:
    """The row with every column, in the schema's order; an unknown column is our error."""
    unknown = set(row) - set(COLUMNS)
    if unknown:
        raise KeyError(f"no such columns: {sorted(unknown)}")
    return {name: row.get(name) for name in COLUMNS}


class Store:
    """The rows of one folder: those already there, and our own shard to append to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[str] | None = None
        with checks.writing("--out", folder):
            (folder / "logs").mkdir(parents=True, exist_ok=True)
            probe = folder / f".write-{os.getpid()}"
            probe.write_text("")
            probe.unlink()

    def lock(self) -> None:
        """Makes this the only run that writes here, until the process ends; `ValueError` if there is another."""
        self._lock = open(self.folder / ".lock", "a+")  # noqa: SIM115  held until the process ends
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            raise UsageError(
                f"another run (process {holder}) is writing to {str(self.folder)!r}: wait for it"
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def write_plan(self, planned: Sequence[Planned], suite: str, command: str, expects: Sequence[str] = ()) -> None:
        """plan.json: written first, so that anyone can see what was planned."""
        plan = {
            "schema": SCHEMA,
            "suite": suite,
            "command": command,
            "expects": list(expects),
            "cells": [{**item.cell, "replicate": item.replicate, "skip": item.skip} for item in planned],
        }
        self._replace_plan(plan)

    def write_left(self, cells: int, budget: float) -> None:
        """Adds to plan.json how many cells a budget of that many seconds left out; the next plan starts without."""
        self._replace_plan({**(self.plan() or {}), "left": {"cells": cells, "budget": budget}})

    def _replace_plan(self, plan: Json) -> None:
        temporary = self.folder / f".plan-{os.getpid()}.json"
        temporary.write_text(json.dumps(plan))
        temporary.replace(self.folder / "plan.json")

    def plan(self) -> Json | None:
        """plan.json, or None if there is none."""
        return read_plan(self.folder)

    def append(self, row: Mapping[str, Any], machine: str) -> None:
        """Appends one row as one line, on disk on return; a torn line from a full disk is ended before the next."""
        line = json.dumps(complete(row), allow_nan=True).encode() + b"\n"
        path = self.folder / f"rows-{machine}-{os.getpid()}.jsonl"
        shard = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            before = os.fstat(shard).st_size
            try:
                if os.write(shard, line) != len(line):
                    raise OSError(28, "No space left on device")
                os.fsync(shard)
            except OSError:
                os.ftruncate(shard, before)
                raise
        finally:
            os.close(shard)

    def rows(self) -> list[Row]:
        """The latest row of each (cell_id, replicate)."""
        return latest(read_rows(self.folder))

    def attempts(self) -> Counter[Key]:
        """The number of runs of each (cell_id, replicate)."""
        found: Counter[Key] = Counter()
        for row in read_rows(self.folder):
            found[row.key] = max(found[row.key], row.get("attempt") or 1)
        return found


def read_plan(folder: Path) -> Json | None:
    """The plan of a folder; None if there is none, `ValueError` if it is invalid."""
    try:
        return json.loads((folder / "plan.json").read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UsageError(f"{folder / 'plan.json'} is not a plan: {error}") from None


def latest(rows: Iterable[Row]) -> list[Row]:
    """The row of each (cell_id, replicate) with the highest attempt, then the latest start, in order of starts."""

    def order(row: Row) -> tuple[int, str]:
        return row.get("attempt") or 1, row.get("started_at") or ""

    kept: dict[Key, Row] = {}
    for row in rows:
        if row.key not in kept or order(row) >= order(kept[row.key]):
            kept[row.key] = row
    return sorted(kept.values(), key=lambda row: row.get("started_at") or "")


def read_rows(folder: Path) -> Iterator[Row]:
    """Every row of every shard in today's schema, without its empty columns.

    A torn last line, as left by a killed writer, is ignored; other lines that are not rows are counted on stderr. Rows
    of older schemas are migrated.
    """
    for shard in sorted(path for path in folder.glob("rows-*.jsonl") if path.is_file()):
        with open(shard, "rb") as lines:
            foreign = 0
            for line in lines:
                row = _row(line)
                if row is not None:
                    yield Row.of(migrate(row))
                elif line.endswith(b"\n"):
                    foreign += 1
        if foreign:
            print(f"{shard}: {foreign} lines are not rows and are ignored", file=sys.stderr)


def _row(line: bytes) -> Json | None:
    """The row in a line, or None."""
    try:
        row = json.loads(line, object_pairs_hook=_shared)
    except ValueError:
        return None
    known = isinstance(row, dict) and isinstance(row.get("cell_id"), str)
    return row if known and isinstance(row.get("replicate"), int) and isinstance(row.get("status"), str) else None


def _shared(pairs: list[tuple[str, Any]]) -> Json:
    """A mapping whose strings are shared with all others, because most rows repeat most of them."""
    return {sys.intern(key): sys.intern(value) if isinstance(value, str) else value for key, value in pairs}


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """rows.parquet: options as JSON text, everything else typed by its column, whether rows have it or not."""
    import pandas as pd

    frame = pd.DataFrame({name: [row.get(name) for row in rows] for name in COLUMNS})
    for column in TABLE:
        values = frame[column.name]
        if column.type is Type.OPTIONS:
            frame[column.name] = values.map(json.dumps, na_action="ignore").astype("string")
        elif column.type is Type.COUNT:
            whole = all(value == int(value) for value in values.dropna())
            frame[column.name] = values.astype("Int64" if whole else "float64")
        elif column.type not in (Type.TARGETS, Type.REALS):
            frame[column.name] = values.astype(column.type.parquet)
    frame.to_parquet(path, index=False, compression="zstd")
