"""Rows gathered into cells: what differs only in seed and replicate is one measurement made several times."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradbench.analysis.label import labels
from gradbench.analysis.numbers import median, number, text

Row = dict[str, Any]

KINDS = ("case", "sampler", "estimator")
TARGETS = ("x_T", "condition", "parameters")
REFERENCES = ("flow", "sampler", "expected")
SEVERITY = ("crash", "error", "lost", "oom", "timeout", "diverged", "skip", "ok")


@dataclass(frozen=True)
class Cell:
    """The rows of one (case, sampler, steps, estimator, targets, dtype, device, machine class), with their labels."""

    case: str
    sampler: str
    estimator: str
    steps: int | None
    targets: str
    dtype: str
    device: str
    machine_class: str
    rows: tuple[Row, ...]

    @property
    def status(self) -> str:
        """The worst status among the rows."""
        found = {text(row.get("status")) or "lost" for row in self.rows}
        return min(found, key=lambda status: SEVERITY.index(status) if status in SEVERITY else -1)

    @cached_property
    def measured(self) -> tuple[Row, ...]:
        """The rows that ended well."""
        return tuple(row for row in self.rows if row.get("status") == "ok")

    @property
    def reason(self) -> str:
        """Why rows did not end well, each reason once."""
        given = [text(row.get("reason")).strip() for row in self.rows if row.get("status") != "ok"]
        return "; ".join(dict.fromkeys(filter(None, given)))

    def median(self, column: str) -> float | None:
        """The median over the rows that ended well, or over all where none did."""
        rows = self.measured or self.rows
        return number(rows[0].get(column)) if len(rows) == 1 else median(row.get(column) for row in rows)


def cells(rows: list[Row]) -> list[Cell]:
    """The cells of `rows`, in the order in which they first appear."""
    gathered: dict[tuple, list[Row]] = {}
    for row, *names in zip(rows, *(labels(rows, kind) for kind in KINDS), strict=True):
        place = [text(row.get(column)) for column in ("dtype", "device", "machine_class")]
        key = (*names, _steps(row), _targets(row), *place)
        gathered.setdefault(key, []).append(row)
    return [Cell(*key, rows=tuple(members)) for key, members in gathered.items()]


def _steps(row: Row) -> int | None:
    steps = number(row.get("steps"))
    return None if steps is None else int(steps)


def _targets(row: Row) -> str:
    targets = row.get("targets")
    if targets is None or isinstance(targets, str | float):
        return text(targets)
    return ", ".join(map(str, targets))
