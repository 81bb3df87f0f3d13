"""Rows gathered into cells: rows that differ only in seed and replicate repeat one measurement."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradbench.analysis.labels import labels
from gradbench.analysis.rows import CHOICES, SEVERITY, median, number, text
from gradbench.bench.columns import FINE
from gradbench.bench.row import Row
from gradbench.command import command
from gradbench.data import Columns
from gradbench.problems.spec import REFERENCES, TARGETS

PLACE = ("case", "sampler", "dtype", "device", "machine_class", "targets")
ERRORS = tuple(f"{reference}_error_{target}" for reference in REFERENCES for target in TARGETS)
BIASES = tuple(f"{column}_{target}" for target in TARGETS for column in ("bias", "std_error", "snr"))
COSTS = ("nfe_forward", "nfe_backward", "vjps", "time_s", "peak_bytes", "x0_drift")
TOLERANCES = tuple(f"{reference}_tol" for reference in REFERENCES)
TABLE = ("case", "sampler", "steps", "estimator", "status", *ERRORS, *BIASES, *COSTS, "reason")
"""The columns of the table of medians that are shown first."""


@dataclass(frozen=True)
class Group:
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
    def place(self) -> tuple[str, ...]:
        """What all cells of a figure share; those of a setting share the steps too."""
        return tuple(getattr(self, name) for name in PLACE)

    @property
    def name(self) -> str:
        """The estimator's bare name."""
        return text(self.rows[0].get("estimator"))

    @property
    def status(self) -> str:
        """The worst status among the rows."""
        return worst(self.rows)

    @property
    def failed(self) -> bool:
        """Whether it was tried and ended badly."""
        return self.status not in FINE

    @cached_property
    def measured(self) -> tuple[Row, ...]:
        """The rows that succeeded."""
        return tuple(row for row in self.rows if row.get("status") == "ok")

    @property
    def reason(self) -> str:
        """Why rows did not end well, each reason once."""
        given = [text(row.get("reason")).strip() for row in self.rows if row.get("status") != "ok"]
        return "; ".join(dict.fromkeys(filter(None, given)))

    @property
    def command(self) -> str:
        """`gradbench run ...`, to measure all its rows again, for every seed and replicate."""
        seeds = sorted({int(seed) for row in self.rows if (seed := number(row.get("seed"))) is not None})
        return command(self.rows[0], seeds, len({row.get("replicate") for row in self.rows}))

    def median(self, column: str) -> float | None:
        """The median over the rows that succeeded, or over all if none did."""
        rows = self.measured or self.rows
        return number(rows[0].get(column)) if len(rows) == 1 else median(row.get(column) for row in rows)

    def line(self) -> Columns:
        """The line of `table`."""
        return {
            **{name: getattr(self, name) for name in ("case", "sampler", "steps", "estimator", "status")},
            **{column: self.median(column) for column in (*ERRORS, *BIASES, *COSTS, *TOLERANCES)},
            **{name: getattr(self, name) for name in ("reason", "targets", "dtype", "device", "machine_class")},
            "n": len(self.rows),
            "n_ok": len(self.measured),
        }


def cells(rows: Sequence[Row]) -> list[Group]:
    """The cells of `rows`, in the order in which they first appear."""
    gathered: dict[tuple[Any, ...], list[Row]] = {}
    for row, *names in zip(rows, *(labels(rows, kind) for kind in CHOICES), strict=True):
        place = [text(row.get(column)) for column in ("dtype", "device", "machine_class")]
        gathered.setdefault((*names, _steps(row), _targets(row), *place), []).append(row)
    return [Group(*key, rows=tuple(members)) for key, members in gathered.items()]


def table(rows: Sequence[Row]) -> list[Columns]:
    """One line per (case, sampler, steps, estimator): status, medians over seeds and replicates, and any reason.

    Cells that differ in targets, dtype, device or machine class stay apart; these four, `n` (rows) and `n_ok` are
    added. `time_s` is in seconds, `peak_bytes` in bytes, `*_error_*` relative; unknown numbers are None.
    """
    return [cell.line() for cell in cells(rows)]


def how_ended(row: Row) -> str:
    """How a row ended; one without a status was lost."""
    return text(row.get("status")) or "lost"


def worst(rows: Sequence[Row]) -> str:
    """The worst status among rows; an unknown status is worse than any."""
    found = {how_ended(row) for row in rows}
    return min(found, key=lambda status: SEVERITY.index(status) if status in SEVERITY else -1)


def _steps(row: Row) -> int | None:
    steps = number(row.get("steps"))
    return None if steps is None else int(steps)


def _targets(row: Row) -> str:
    targets = row.get("targets")
    if targets is None or isinstance(targets, str | float):
        return text(targets)
    return ", ".join(map(str, targets))
