"""Courses of tasks: the rows of one task, sampler and estimator that differ in seed and replicate, as means."""

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from gradbench.analysis.cells import Group, cells
from gradbench.analysis.labels import labels
from gradbench.analysis.rows import params_of, text
from gradbench.bench.row import Row
from gradbench.data import Columns
from gradbench.tasks.settings import SETTINGS

COSTS = {"evaluations": "network evaluations", "queries": "reward queries", "seconds": "seconds"}
"""What updates cost, by its name in `course`."""


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


class Stop(NamedTuple):
    """A place where the courses of all seeds were scored, as means; a course that had ended before stays at its end."""

    update: int
    evaluations: Mean
    queries: Mean
    seconds: Mean
    objective: Mean
    held_out: Mean
    cosine: Mean | None

    @staticmethod
    def of(told: Sequence[Mapping[str, Any]], place: int, update: int) -> "Stop | None":
        """That place of the courses in `told`; None where a cost or a score is unknown."""
        costs, scores = COSTS, ("objective", "held_out", "cosine")
        at = [Mean.of(each[name][min(place, len(each[name]) - 1)] for each in told) for name in (*costs, *scores)]
        *known, cosine = at
        if any(mean is None for mean in known):
            return None
        evaluations, queries, seconds, objective, held_out = (mean for mean in known if mean is not None)
        return Stop(update, evaluations, queries, seconds, objective, held_out, cosine)


@dataclass(frozen=True)
class Course:
    """One estimator on one task.

    task: the case without the settings of its optimisation, in which estimators may differ. settings: those in which
    they do, `lr=0.03`.
    """

    cell: Group
    task: str
    settings: str = ""

    @property
    def label(self) -> str:
        """The estimator, and the settings if they differ."""
        return ", ".join(filter(None, (self.cell.estimator, self.settings)))

    def mean(self, column: str) -> Mean | None:
        """The mean of a column over the rows that succeeded."""
        return Mean.of(row.number(column) for row in self.cell.measured)

    @cached_property
    def stops(self) -> list[Stop]:
        """The places on the way, the first before any update; empty if no row tells them."""
        told = [found for row in self.cell.measured if (found := row.get("course"))]
        longest = max((found["update"] for found in told), key=len, default=[])
        stops = [Stop.of(told, place, update) for place, update in enumerate(longest)]
        return [] if None in stops else [stop for stop in stops if stop is not None]

    def spent(self, cost: str) -> float | None:
        """What every row spent at least by its end; None where a row does not tell."""
        ends = [path[-1][0] if (path := _path(row, cost, "objective")) else None for row in self.cell.measured]
        return None if not ends or None in ends else min(end for end in ends if end is not None)

    def by_seed(self, cost: str, amount: float, score: str = "held_out") -> dict[int, float]:
        """The score of each seed when `amount` of a cost of `COSTS` was spent, linear between the places."""
        found = {row["seed"]: _interpolated(_path(row, cost, score), amount) for row in self.cell.measured}
        return {seed: value for seed, value in found.items() if value is not None}

    def at(self, cost: str, amount: float, score: str = "held_out") -> Mean | None:
        """The mean of `by_seed`."""
        return Mean.of(self.by_seed(cost, amount, score).values())


def least(block: Sequence[Course], cost: str) -> float | None:
    """The most of a cost that every course of a block spent: there they can be compared. None if none tells."""
    ends = [spent for course in block if (spent := course.spent(cost)) is not None]
    return min(ends, default=None)


def _path(row: Row, cost: str, score: str) -> list[tuple[float, float]]:
    """The places of a course as (spent, score), those without a score left out."""
    told: Any = row.get("course") or {}
    pairs = zip(told.get(cost, ()), told.get(score, ()), strict=False)
    return [(float(spent), float(value)) for spent, value in pairs if value is not None]


def _interpolated(path: Sequence[tuple[float, float]], amount: float) -> float | None:
    """None outside of the path."""
    if not path or not path[0][0] <= amount <= path[-1][0] * (1 + 1e-9):
        return None
    for (left, before), (right, after) in itertools.pairwise(path):
        if amount <= right:
            return after if right == left else before + (after - before) * (amount - left) / (right - left)
    return path[-1][1]


def is_task(row: Row) -> bool:
    """Whether a row is of a task that was begun."""
    return row.get("updates") is not None or row.get("phase") == "optimise"


def courses(rows: Sequence[Row]) -> list[Course]:
    """The courses of tasks among the rows, in the order in which they first appear."""
    own = [row for row in rows if is_task(row)]
    bare = [Row(row | {"case_params": _without_settings(row)}) for row in own]
    names = labels(bare, "case")
    differ = {task: _settings([row for row, name in zip(own, names, strict=True) if name == task]) for task in names}
    task_of = {id(row): name for row, name in zip(own, names, strict=True)}
    found = list[Course]()
    for cell in cells(own):
        task, params = task_of[id(cell.rows[0])], params_of(cell.rows[0], "case")
        told = ",".join(f"{name}={text(params[name])}" for name in SETTINGS if name in differ[task] and name in params)
        found.append(Course(cell, task, told))
    return found


def blocks(found: Sequence[Course]) -> dict[tuple[str, ...], list[Course]]:
    """The courses that can be compared: those of one task, sampler, number of steps and dtype."""
    made: dict[tuple[str, ...], list[Course]] = {}
    for course in found:
        cell = course.cell
        made.setdefault((course.task, cell.sampler, f"{cell.steps} steps", cell.dtype), []).append(course)
    return made


def _without_settings(row: Row) -> Columns:
    return {name: value for name, value in params_of(row, "case").items() if name not in SETTINGS}


def _settings(rows: Sequence[Row]) -> set[str]:
    """The settings of a task that differ among its rows."""
    values = [{name: text(params_of(row, "case").get(name)) for name in SETTINGS} for row in rows]
    return {name for name in SETTINGS if len({each[name] for each in values}) > 1}
