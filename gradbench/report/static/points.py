"""What figures are made of: cells with their errors against one reference, in the order of a legend."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from gradbench.analysis.cells import REFERENCES, TARGETS, Cell, cells
from gradbench.analysis.floor import Reading, read
from gradbench.analysis.label import params_of
from gradbench.analysis.numbers import is_finite, number, text
from gradbench.analysis.spread import Spread, spread
from gradbench.report.static.pens import Curve
from gradbench.report.style import Style, rank, style_for

Row = dict[str, Any]
Drawn = tuple[Figure, pd.DataFrame]


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

    cell: Cell
    reading: Reading
    error: Spread


def ordered(rows: list[Row]) -> list[Cell]:
    """The cells of rows in the order of a legend, the steps of each estimator rising."""
    return sorted(cells(rows), key=lambda cell: (_place(cell), cell.steps or 0))


def _place(cell: Cell) -> tuple[Any, ...]:
    return rank(name_of(cell)), _natural(cell.estimator)


def _natural(name: str) -> list[tuple[float, str]]:
    """A key by which k=5 stands before k=20."""
    return [(float(word), "") if word.isdigit() else (math.inf, word) for word in re.split(r"(\d+)", name)]


def name_of(cell: Cell) -> str:
    """The estimator's bare name."""
    return text(cell.rows[0].get("estimator"))


def style(cell: Cell) -> Style:
    """The look of the cell's estimator with its options."""
    return style_for(name_of(cell), params_of(cell.rows[0], "estimator"))


def looks(found: Iterable[Cell]) -> dict[str, Style]:
    """The look of every estimator's label, in the order of a legend."""
    return {cell.estimator: style(cell) for cell in sorted(found, key=_place)}


def curves(found: Iterable[tuple[Cell, float, Spread | None]]) -> dict[str, Curve]:
    """For each estimator's label its places and spreads, what was not measured left out."""
    gathered: dict[str, Curve] = {}
    for cell, place, value in found:
        if value is not None:
            gathered.setdefault(cell.estimator, []).append((place, value))
    return gathered


def choose(found: list[Cell], ask: Ask) -> tuple[str, str]:
    """Reference and target of one figure, the first that at least half as many cells have as any other.

    `NoData` where no cell has an error against what is asked.
    """
    references = REFERENCES if ask.reference is None else (ask.reference,)
    targets = TARGETS if ask.target is None else (ask.target,)
    counts = {(k, t): sum(read(cell, k, t) is not None for cell in found) for t in targets for k in references}
    most = max(counts.values())
    if not most:
        asked = " and ".join(filter(None, (ask.reference, ask.target)))
        raise NoData(f"no error against a reference was measured{f' for {asked}' if asked else ''}")
    return next(pair for pair, count in counts.items() if 2 * count >= most)


def measured(found: list[Cell], reference: str, target: str) -> list[Point]:
    """The cells with a finite error against the reference, in order."""
    points = []
    for cell in found:
        reading = read(cell, reference, target)
        if reading is None or not is_finite(reading.shown):
            continue
        values = [number(row.get(f"{reference}_error_{target}")) for row in cell.measured]
        error = spread(max(value, reading.floor) for value in values if value is not None)
        if error is not None:
            points.append(Point(cell, reading, replace(error, mid=reading.shown)))
    return points


def bound(points: list[Point]) -> float:
    """The floor that a figure draws: the highest of those that matter, which are of points at it, or of all."""
    touched = [point.reading.floor for point in points if point.reading.mark != "value"]
    return max(touched or [point.reading.floor for point in points])


def absent(found: list[Cell], points: list[Point]) -> str:
    """A sentence that names the estimators which were run but have no point, or nothing."""
    there = {point.cell.estimator for point in points}
    lacking = dict.fromkeys(cell.estimator for cell in found if cell.estimator not in there)
    return f" Without such an error: {', '.join(lacking)}." if lacking else ""


def failed(found: list[Cell]) -> list[Cell]:
    """The cells that were tried and ended badly."""
    return [cell for cell in found if cell.status not in ("ok", "skip")]
