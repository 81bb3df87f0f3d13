"""Rows of a published run, found by the selectors of the command line."""

import datetime
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gradbench.bench.load import load_rows
from gradbench.bench.plan import make_plan
from gradbench.bench.row import Row
from gradbench.bench.suite import Block
from gradbench.problems.spec import TARGETS

SEEDS = range(12)
FEWEST = 3
BY_SEED = re.compile(r"(flow|sampler)_(sample_)?(error|cosine|norm_ratio)_|(method|rounding)_error_|x0_drift")


@dataclass(frozen=True)
class Spread:
    """A column over seeds, whose median is never shown alone."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest."""
        return max(self.values)


@dataclass(frozen=True)
class Run:
    """A folder of results/published: what made it, when, and on what."""

    name: str
    rows: tuple[Row, ...]

    @property
    def suite(self) -> str:
        """The suite that its command names."""
        return self._one("suite")

    @property
    def made(self) -> str:
        """Version, torch, thread and machine, and the day on which it began."""
        begun = datetime.datetime.fromisoformat(min(row["started_at"] for row in self.rows if row.get("started_at")))
        versions = f"version {self._one('gradbench')}, torch {self._one('torch')}"
        return f"{versions}, one thread of {self._one('cpu')}, {begun:%Y-%m-%d}"

    def _one(self, column: str) -> str:
        """The value of a column that all measured rows share."""
        (value,) = {row.get(column) for row in self.rows if row.get("status") == "ok"}
        return value


TIMES = ("time_s", "time_samples", "cpu_time_s", "calibration_s", "load", "machine_class", "cpu")


class Published:
    """The rows of folders of results/published; for a cell in several, each column is that of the last.

    Times are those of the first, so that a table of times is from one machine.

    A template names a cell like a command line; an unmeasured cell is an error, so that no page can show a number that
    is in no row. fewest: the least number of seeds for a median; below 3 only to try templates on a run of few.
    """

    def __init__(self, folders: Sequence[Path], fewest: int = FEWEST) -> None:
        self.name = ", ".join(folder.name for folder in folders)
        self.runs = [Run(folder.name, tuple(load_rows(folder))) for folder in folders]
        cells: dict[str, Row] = {}
        for row in (row for run in self.runs for row in run.rows):
            before = cells.get(row["cell_id"], Row())
            timed = TIMES if before.get("time_s") is not None else ()
            told = {column: value for column, value in row.items() if value is not None and column not in timed}
            cells[row["cell_id"]] = Row({**row, **before, **told})
        self.rows = list(cells.values())
        self.fewest = fewest
        self.at_least = fewest
        self.shared: set[int] | None = None

    @cached_property
    def _by_cell(self) -> dict[str, Row]:
        return {row["cell_id"]: row for row in self.rows}

    def seeds(self, fewest: int) -> str:
        """Begins a table, whose numbers must have the same seeds, and at least so many. Prints nothing."""
        self.at_least, self.shared = min(fewest, self.fewest) if self.fewest < FEWEST else fewest, None
        return ""

    def find(
        self,
        case: str,
        estimator: str,
        steps: int = 20,
        sampler: str = "ddim",
        dtype: str | None = None,
        targets: Sequence[str] = TARGETS,
    ) -> list[Row]:
        """The rows of that cell, one per seed; `KeyError` if there are none."""
        block = Block([case], [sampler], [estimator], [steps], list(targets), list(SEEDS), dtype)
        found = [self._by_cell[p.cell["cell_id"]] for p in make_plan([block], 1) if p.cell["cell_id"] in self._by_cell]
        if not found:
            raise KeyError(f"{self.name} has no row of {case}, {sampler}, {steps} steps, {estimator}, {dtype}")
        return found

    def has(self, case: str, estimator: str, steps: int = 20, **rest: Any) -> bool:
        """Whether there are rows of that cell."""
        try:
            return bool(self.find(case, estimator, steps, **rest))
        except KeyError:
            return False

    def spread(self, column: str, case: str, estimator: str, steps: int = 20, **rest: Any) -> Spread:
        """A column over the seeds that succeeded.

        `KeyError` if none has it; `ValueError` for a column that depends on the seed with too few seeds for a table, or
        with other seeds than the cells before it in the table.
        """
        where = f"{self.name}: {column} of {case}, {steps} steps, {estimator}, {rest}"
        found = {r["seed"]: r[column] for r in self.find(case, estimator, steps, **rest) if r.get(column) is not None}
        if not found:
            raise KeyError(f"{where}: there is none")
        if BY_SEED.match(column):
            if len(found) < self.at_least:
                raise ValueError(f"{where} has {len(found)} seeds, and a median needs {self.at_least}")
            if self.shared is not None and self.shared != set(found):
                raise ValueError(f"{where} is of seeds {sorted(found)}, the table's others of {sorted(self.shared)}")
            self.shared = set(found)
        return Spread(tuple(found.values()))

    def value(self, column: str, case: str, estimator: str, steps: int = 20, **rest: Any) -> float:
        """The median of a column over the seeds that succeeded; the errors are those of `spread`."""
        return self.spread(column, case, estimator, steps, **rest).median

    def order(self, column: str, case: str, estimator: str, steps: Sequence[int], **rest: Any) -> float:
        """p of error ~ N^-p, between the two numbers of steps."""
        from math import log

        first, last = (self.value(column, case, estimator, n, **rest) for n in steps)
        return log(first / last) / log(steps[1] / steps[0])

    def count(self, status: str | None = None) -> int:
        """The number of rows, or of those with that status."""
        return sum(status in (None, row["status"]) for row in self.rows)

    def all(self, column: str) -> Iterator[Any]:
        """The values of a column in all rows that succeeded."""
        return (row[column] for row in self.rows if row.get("status") == "ok" and row.get(column) is not None)
