"""What figures on the page and in print are made of: cells in the order of a legend, and errors against a reference."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradbench.analysis.cells import Group, cells
from gradbench.analysis.errors import Reading, read
from gradbench.analysis.rows import Spread, number, params_of, spread
from gradbench.bench.row import Row
from gradbench.data import Columns
from gradbench.problems.spec import REFERENCES, TARGETS
from gradbench.report.style import Style, rank, style_for
from gradbench.selector import render

AGAINST = {"flow": "the exact flow", "sampler": "the sampler's own", "expected": "the expected gradient"}
GRADIENTS = {target: f"dL/d{target}" for target in TARGETS}
NEAR = 100
"""Times the floor: a figure with an error below that shows the floor."""

Curve = list[tuple[float, Spread]]


class NoData(ValueError):
    """Why a figure cannot be drawn from these rows."""


@dataclass(frozen=True)
class Ask:
    """What a figure shows: None for the first reference and target that most cells were measured against.

    error: the target of performance profiles, None for one that about half of them reach. title: what the rows share.
    """

    reference: str | None = None
    target: str | None = None
    error: float | None = None
    title: str = ""


DEFAULT = Ask()


@dataclass(frozen=True)
class Point:
    """A cell with its error, and the quartiles of the error over its rows, none of them below the floor."""

    cell: Group
    reading: Reading
    error: Spread

    @property
    def finite(self) -> bool:
        """Whether it has a place on an axis."""
        return self.reading.mark != "not finite"


@dataclass(frozen=True)
class Errors:
    """The points against one reference for one target that have a place on an axis, in order."""

    reference: str
    target: str
    points: tuple[Point, ...]

    @property
    def floor(self) -> float:
        """The floor that a figure draws: the highest over points that are at theirs, or over all."""
        touched = [point.reading.floor for point in self.points if point.reading.mark != "value"]
        return max(touched or [point.reading.floor for point in self.points], default=0.0)

    @property
    def lowest(self) -> float:
        """The lowest end of any bar."""
        return min((point.error.low for point in self.points), default=math.inf)

    @property
    def near(self) -> bool:
        """Whether an error is so near the floor that a figure shows it."""
        return self.lowest <= NEAR * self.floor

    @property
    def label(self) -> str:
        """The label of an error axis."""
        return f"relative error of {GRADIENTS[self.target]}\nagainst {AGAINST[self.reference]}"

    def of(self, points: Iterable[Point]) -> "Errors":
        """Some of the points."""
        return replace(self, points=tuple(points))

    def absent(self, found: Iterable[Group]) -> str:
        """A sentence that names the estimators that ran but have no point, or nothing."""
        there = {point.cell.estimator for point in self.points}
        lacking = dict.fromkeys(cell.estimator for cell in found if cell.estimator not in there)
        return f" Without such an error: {', '.join(lacking)}." if lacking else ""

    def columns(self, point: Point) -> Columns:
        """A point's error in a table, with its quartiles, its mark and its floor."""
        return {
            "reference": self.reference,
            "target": self.target,
            **spread_columns("error", point.error),
            "mark": point.reading.mark,
            "floor": point.reading.floor,
        }


def errors(found: Iterable[Group], reference: str, target: str) -> Errors:
    """The errors of cells against one reference for one target."""
    known = (point(cell, reference, target) for cell in found)
    return Errors(reference, target, tuple(each for each in known if each and each.finite))


def point(cell: Group, reference: str, target: str) -> Point | None:
    """The error of a cell; None if it was not measured."""
    reading = read(cell, reference, target)
    if reading is None:
        return None
    values = [number(row.get(f"{reference}_error_{target}")) for row in cell.measured]
    found = spread(max(value, reading.floor) for value in values if value is not None)
    middle = reading.shown
    return Point(cell, reading, replace(found, mid=middle) if found else Spread(middle, middle, middle, 0))


def choose(found: Sequence[Group], ask: Ask = DEFAULT) -> tuple[str, str]:
    """Reference and target of one figure: the first that at least half as many cells have as any other.

    `NoData` if no cell has an error against what is asked.
    """
    references = REFERENCES if ask.reference is None else (ask.reference,)
    targets = TARGETS if ask.target is None else (ask.target,)
    counts = {(k, t): sum(read(cell, k, t) is not None for cell in found) for t in targets for k in references}
    most = max(counts.values())
    if not most:
        asked = " and ".join(filter(None, (ask.reference, ask.target)))
        raise NoData(f"no error against a reference was measured{f' for {asked}' if asked else ''}")
    return next(pair for pair, count in counts.items() if 2 * count >= most)


def ordered(rows: Sequence[Row]) -> list[Group]:
    """The cells of rows in legend order, with each estimator's steps ascending."""
    return sorted(cells(rows), key=lambda cell: (_place(cell), cell.steps or 0))


def looks(found: Iterable[Group]) -> dict[str, Style]:
    """The look of every estimator's label, in the order of a legend."""
    order = sorted({cell.estimator: cell for cell in found}.values(), key=_place)
    return {cell.estimator: style_for(cell.name, params_of(cell.rows[0], "estimator")) for cell in order}


def curves(found: Iterable[tuple[Group, float, Spread | None]]) -> dict[str, Curve]:
    """Places and spreads by estimator label, without those that were not measured."""
    gathered: dict[str, Curve] = {}
    for cell, place, value in found:
        if value is not None:
            gathered.setdefault(cell.estimator, []).append((place, value))
    return gathered


def identity(cell: Group) -> Columns:
    """The first columns of every table: what was measured, with all options."""
    return {
        **{name: getattr(cell, name) for name in ("case", "sampler", "dtype", "steps", "estimator")},
        "options": render(cell.name, params_of(cell.rows[0], "estimator")),
        "rows": len(cell.measured),
    }


def spread_columns(name: str, found: Spread | None) -> dict[str, float | None]:
    """A median and its quartiles."""
    values = (None,) * 3 if found is None else (found.mid, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _place(cell: Group) -> tuple[Any, ...]:
    return rank(cell.name), _natural(cell.estimator)


def _natural(name: str) -> list[tuple[float, str]]:
    """A key that sorts k=5 before k=20."""
    return [(float(word), "") if word.isdigit() else (math.inf, word) for word in re.split(r"(\d+)", name)]
