"""Rows of the committed baseline, with times as five processes of one machine would measure them."""

import json
import math
import random
from pathlib import Path
from typing import Any

BASELINE = Path(__file__).parents[2] / "results" / "baselines" / "ci.jsonl"
PLACE = {"machine_class": "a CPU, 2 threads, 8 GiB", "threads": 1}


def baseline(case: str, sampler: str, estimator: str | None = None, steps: int = 20) -> list[dict[str, Any]]:
    """The committed cells of that name that were measured."""
    rows = (json.loads(line) for line in BASELINE.read_text().splitlines())
    named = {"case": case, "sampler": sampler, "steps": steps, "status": "ok"}
    named |= {"estimator": estimator} if estimator else {}
    return [row for row in rows if all(row[name] == value for name, value in named.items())]


def timed(rows: list[dict[str, Any]], seed: int, slower: float = 1.0, processes: int = 5) -> list[dict[str, Any]]:
    """`processes` rows per cell, 10 ms each up to 2%, the first cell `slower`, on a machine of any speed."""
    rng = random.Random(seed)
    speed = rng.uniform(0.5, 2.0)
    return [
        {
            **row,
            **PLACE,
            "replicate": replicate,
            "time_s": 0.010 * speed * math.exp(rng.gauss(0, 0.02)) * (slower if index == 0 else 1.0),
            "calibration_s": 0.001 * speed,
        }
        for index, row in enumerate(rows)
        for replicate in range(processes)
    ]


def with_value(rows: list[dict[str, Any]], index: int = 0, **values: Any) -> list[dict[str, Any]]:
    """The rows with other values in all processes of the cell at `index`."""
    cell = list(dict.fromkeys(row["cell_id"] for row in rows))[index]
    return [{**row, **values} if row["cell_id"] == cell else row for row in rows]
