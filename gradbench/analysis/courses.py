"""Courses of tasks: the rows of one task, sampler and estimator that differ in seed and replicate, as means."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradbench.analysis.cells import Group, cells
from gradbench.bench.row import Row

ENDS = ("first_objective", "last_objective", "first_held_out", "last_held_out")


class Mean(NamedTuple):
    """A mean over seeds with the half-width of its 95% interval; None for a single seed."""

    value: float
    half: float | None

    @staticmethod
    def of(values: Iterable[float | None]) -> "Mean | None":
        """Of the known values, by Student's distribution; None if there are none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        if len(known) == 1:
            return Mean(known[0], None)
        from scipy import stats

        error = statistics.stdev(known) / math.sqrt(len(known))
        return Mean(statistics.fmean(known), float(stats.t.ppf(0.975, len(known) - 1)) * error)


@dataclass(frozen=True)
class Course:
    """One estimator on one task."""

    cell: Group

    def mean(self, column: str) -> Mean | None:
        """The mean of a column over the rows that succeeded."""
        return Mean.of(row.number(column) for row in self.cell.measured)


def is_task(row: Row) -> bool:
    """Whether a row is of a task that was begun."""
    return row.get("updates") is not None or row.get("phase") == "optimise"


def courses(rows: Sequence[Row]) -> list[Course]:
    """The courses of tasks among the rows, in the order in which they first appear."""
    return [Course(cell) for cell in cells([row for row in rows if is_task(row)])]
