"""GPU measurements, and predictions until they exist: the rows of results/published/*-gpu-*."""

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gradbench.analysis.cells import Group
from gradbench.analysis.costs import BAND, PredictedBytes, overhead, predicted_bytes
from gradbench.analysis.rows import number
from gradbench.bench.load import load_rows
from gradbench.commands.predict import estimator_of
from gradbench.report.points import ordered
from gradbench.selector import render
from studies.pages.published import Row

PATTERN = "*-gpu-*"
LARGE = 10**9  # bytes of weights: smaller networks fit on any card
SHOWN = ("case", "objective", "batch", "guidance", "inner_checkpointing", "compile")


@dataclass(frozen=True)
class Line:
    """One cell of a table: measured on a card, or only predicted (time and error None)."""

    what: str
    estimator: str
    target: str
    dtype: str
    status: str
    time: float | None
    ratio: float | None
    peak: float | None
    predicted: float | None
    baseline: float | None
    error: float | None
    overhead: float | None
    size: PredictedBytes | None = None

    @property
    def in_all(self) -> float | None:
        """Bytes of weights, inputs and peak: measured if possible, otherwise predicted."""
        size = self.peak if self.peak is not None else self.predicted
        return None if size is None or self.baseline is None else size + self.baseline


@dataclass(frozen=True)
class Card:
    """The rows of one card."""

    name: str
    rows: tuple[Row, ...]

    @cached_property
    def cells(self) -> list[Group]:
        """The cells in the order of measurement."""
        places = {id(row): place for place, row in enumerate(self.rows)}
        return sorted(ordered(list(self.rows)), key=lambda cell: places[id(cell.rows[0])])

    @property
    def lines(self) -> list[Line]:
        """One line per cell."""
        return [_line(cell) for cell in self.cells]

    @property
    def apart(self) -> list[Line]:
        """The lines whose predicted and measured bytes differ by more than 5 %."""
        return [line for line in self.lines if line.size is not None and abs(line.size.difference) > BAND]

    @property
    def made(self) -> str:
        """Driver, torch, idle clocks, other processes on the card, and the days."""
        days = sorted({f"{datetime.datetime.fromisoformat(row['started_at']):%Y-%m-%d}" for row in self.rows})
        clocks = sorted({clock for row in self.rows if (clock := number(row.get("gpu_clock_mhz"))) is not None})
        others = max((number(row.get("gpu_processes")) or 0 for row in self.rows), default=0)
        span = " to ".join(f"{clock:.0f}" for clock in dict.fromkeys((clocks[0], clocks[-1]))) if clocks else ""
        told = f"{span} MHz at idle" if span else "clocks unknown"
        shared = f"up to {others:.0f} other processes on the card" if others else "no other process on the card"
        return (
            f"Driver {self._one('gpu_driver')}, torch {self._one('torch')}, gradbench {self._one('gradbench')}, "
            f"{told}, {shared}, {' and '.join((days[0], days[-1]) if days[0] != days[-1] else days[:1])}"
        )

    def _one(self, column: str) -> str:
        return " and ".join(sorted({str(row[column]) for row in self.rows if row.get(column)})) or "unknown"

    def find(self, estimator: str, **options: Any) -> Line | None:
        """The measured line of Stable Diffusion 1.5 in float16, LoRA, 50 steps, batch 1, with that estimator."""
        asked = {"objective": "target-latent", "batch": 1, "inner_checkpointing": False, "compile": False, **options}
        for cell in self.cells:
            row, params = cell.rows[0], cell.rows[0]["case_params"]
            same = row["case"] == "sd15" and row["dtype"] == "float16" and row["steps"] == 50
            same = same and row["targets"] == ["parameters"] and row["sampler"] == "ddim"
            if same and row["estimator"] == estimator and all(params.get(k) == v for k, v in asked.items()):
                return _line(cell) if cell.status == "ok" else None
        return None


def cards_of(folders: Sequence[Path]) -> list[Card]:
    """The cards in published rows; rows of other devices are left out."""
    gathered: dict[str, list[Row]] = {}
    for folder in folders:
        for row in load_rows(folder):
            if str(row.get("device", "")).startswith("cuda") and row["status"] != "skip":
                gathered.setdefault(row.get("gpu") or "an unnamed card", []).append(row)
    return [Card(name, tuple(own)) for name, own in gathered.items()]


def cards(folders: Sequence[Path], predicted: Path) -> dict[str, Callable[..., Any] | Any]:
    """The names used by templates. predicted: the suite `gpu`, as printed by `gradbench predict --json`."""
    found, predictions = cards_of(folders), json.loads(predicted.read_text())
    by = json.loads(predicted.with_suffix(".environment.json").read_text())

    def measured(estimator: str) -> Line | None:
        """The line from the first card that has it."""
        return next((line for card in found if (line := card.find(estimator))), None)

    def whose(estimator: str) -> str:
        """The name of that card."""
        return next(card.name for card in found if card.find(estimator))

    return {
        "CARDS": found,
        "PREDICTED": [_predicted(r) for r in predictions if "peak_bytes" in r and r["baseline_bytes"] > LARGE],
        "PREDICTED_BY": f"torch {by['torch']} and diffusers {by['versions']['diffusers']}",
        "measured": measured,
        "whose": whose,
    }


def _line(cell: Group) -> Line:
    row, size = cell.rows[0], predicted_bytes(cell)
    target = row["targets"][0] if row["targets"] else ""
    wall, passes = cell.median("wall_s"), cell.median("passes_s")
    return Line(
        **_named(row),
        status=cell.status,
        time=cell.median("time_s"),
        ratio=overhead(cell),
        peak=cell.median("peak_bytes"),
        predicted=size.predicted if size else cell.median("predicted_peak_bytes"),
        baseline=cell.median("baseline_bytes"),
        error=cell.median(f"sampler_error_{target}"),
        overhead=None if wall is None or passes is None else wall - passes,
        size=size,
    )


def _predicted(row: Row) -> Line:
    nothing = dict.fromkeys(("time", "ratio", "peak", "error", "overhead"))
    sizes = {"predicted": row["peak_bytes"], "baseline": row["baseline_bytes"]}
    return Line(**_named(row), status="predicted", **nothing, **sizes)


def _named(row: Row) -> dict[str, str]:
    params = {name: row["case_params"][name] for name in SHOWN if name in row["case_params"]}
    usual = {"objective": ("target-latent", "class", "quadratic+sine"), "batch": (1,), "guidance": (7.5, 1.0)}
    said = {k: v for k, v in params.items() if v not in (*usual.get(k, ()), False)}
    return {
        "what": f"{render(row['case'], said)}, {row['sampler']}, {row['steps']} steps",
        "estimator": estimator_of(row),
        "target": ", ".join(row["targets"]),
        "dtype": row["dtype"],
    }
