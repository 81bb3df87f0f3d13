"""Rows on disk: one JSON line each, appended the moment a cell ends; one shard a writer.

OUT/rows-<machine>-<pid>.jsonl, OUT/plan.json, OUT/logs/<cell_id>-<replicate>.txt; `rows.parquet` is built of them.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gradbench.bench.plan import IDENTITY, Planned

SCHEMA = 1
STATUSES = ("ok", "skip", "timeout", "oom", "diverged", "error", "crash", "lost")
GRADIENT_TARGETS = ("x_T", "condition", "parameters")
COLUMNS = (
    *("schema", "cell_id", "run_id", "suite", *IDENTITY, "replicate", "status", "phase", "reason"),
    *("time_s", "time_samples", "cpu_time_s", "calibration_s", "nfe_forward", "nfe_backward", "vjps"),
    *("peak_bytes", "baseline_bytes", "reserved_bytes", "os_peak_bytes", "predicted_peak_bytes"),
    *("state_bytes", "tape_bytes", "x0_drift"),
    *(f"grad_norm_{t}" for t in GRADIENT_TARGETS),
    *(
        f"{kind}_{measure}_{t}"
        for kind in ("flow", "sampler", "expected")
        for measure in ("error", "cosine", "norm_ratio")
        for t in GRADIENT_TARGETS
    ),
    *(f"{measure}_{t}" for measure in ("bias", "bias_norm", "std_error", "snr") for t in GRADIENT_TARGETS),
    *("draws", "reference_method", "reference_tol", "reference_digest", "reference_dtype"),
    *("flow_tol", "sampler_tol", "expected_tol"),
    *("gradbench", "torch", "git_commit", "git_dirty", "fingerprint", "machine_id", "machine_class", "cpu", "gpu"),
    *("threads", "load", "started_at"),
)


def complete(row: dict[str, Any]) -> dict[str, Any]:
    """The row with every column, in the schema's order; a column it should not have is an error of ours."""
    unknown = set(row) - set(COLUMNS)
    if unknown:
        raise KeyError(f"no such columns: {sorted(unknown)}")
    return {name: row.get(name) for name in COLUMNS}


class Store:
    """The rows of one folder: those already there, and a shard of our own to append to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            (folder / "logs").mkdir(parents=True, exist_ok=True)
            probe = folder / f".write-{os.getpid()}"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise ValueError(f"--out {str(folder)!r} cannot be written to: {error.strerror}") from None

    def write_plan(self, planned: Sequence[Planned], suite: str, command: str) -> None:
        """plan.json: written first, so that a stranger sees what was to be done."""
        plan = {
            "schema": SCHEMA,
            "suite": suite,
            "command": command,
            "cells": [{**item.cell, "replicate": item.replicate, "skip": item.skip} for item in planned],
        }
        temporary = self.folder / f".plan-{os.getpid()}.json"
        temporary.write_text(json.dumps(plan))
        temporary.replace(self.folder / "plan.json")

    def append(self, row: dict[str, Any], machine: str) -> None:
        """One row, one line, one write, on disk when this returns."""
        line = json.dumps(complete(row), allow_nan=True) + "\n"
        shard = os.open(
            self.folder / f"rows-{machine}-{os.getpid()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644
        )
        try:
            os.write(shard, line.encode())
            os.fsync(shard)
        finally:
            os.close(shard)

    def rows(self) -> list[dict[str, Any]]:
        """All rows, the latest of each (cell_id, replicate) only, in the order in which they were started."""
        latest: dict[tuple[str, int], dict[str, Any]] = {}
        for row in sorted(read_rows(self.folder), key=lambda row: row["started_at"] or ""):
            latest[row["cell_id"], row["replicate"]] = row
        return list(latest.values())


def read_rows(folder: Path) -> Iterable[dict[str, Any]]:
    """Every row of every shard; a torn last line, as a killed writer leaves it, is passed over."""
    for shard in sorted(folder.glob("rows-*.jsonl")):
        for line in shard.read_bytes().split(b"\n"):
            if line:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue


def write_parquet(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """rows.parquet: dictionaries as JSON text, everything else as it is."""
    import pandas as pd

    frame = pd.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], columns=list(COLUMNS))
    for name in ("case_params", "sampler_params", "estimator_params"):
        frame[name] = frame[name].map(json.dumps)
    for name in frame.columns:
        if name.endswith(("_bytes", "nfe_forward", "nfe_backward", "vjps", "draws")):
            frame[name] = frame[name].astype("Int64")
        elif all(row.get(name) is None for row in rows):
            frame[name] = frame[name].astype("float64" if _is_number(name) else "string")
    frame.to_parquet(path, index=False, compression="zstd")


def _is_number(name: str) -> bool:
    """Whether an empty column is one of numbers."""
    measures = ("error", "cosine", "norm_ratio", "grad_norm", "bias", "snr")
    return name.endswith(("_s", "_tol", "x0_drift")) or any(measure in name for measure in measures)
