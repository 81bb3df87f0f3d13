"""Errors: no numbers below the accuracy of their reference, and falling with the steps at a fitted order."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradbench.analysis.cells import Group
from gradbench.analysis.rows import is_finite, number
from gradbench.bench.row import Row

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "tf32": 2.0**-10, "float16": 2.0**-10, "bfloat16": 2.0**-7}
PRECISION = {"float64": 1e-12, "float32": 1e-5, "tf32": 1e-2, "float16": 1e-2, "bfloat16": 5e-2}
"""Of a whole chain in that dtype: an error below it is due to the arithmetic, not a method."""
LEVEL = 0.95


@dataclass(frozen=True)
class Reading:
    """An error as it may be shown: `shown` is never below the floor.

    mark: "value", "floor" (at or below the floor), "exact" (zero to the last bit) or "not finite". floor: the accuracy
    of the error's reference.
    """

    error: float
    shown: float
    mark: str
    floor: float


def floor_of(cell: Group, reference: str) -> float:
    """The accuracy of one reference of a cell."""
    return tolerance(cell.rows, cell.dtype, reference)


def tolerance(rows: Iterable[Row], dtype: str, reference: str) -> float:
    """The tolerance of one reference of a cell's rows, else of all references, else the rounding unit of the dtype.

    The first that the rows give: a reference has its own tolerance if a row has one.
    """
    rows = list(rows)
    for column in (f"{reference}_tol", "reference_tol"):
        found = [tol for row in rows if (tol := number(row.get(column))) and is_finite(tol) and tol > 0]
        if found:
            return max(found)
    return EPSILON.get(dtype, EPSILON["float64"])


def resolution(cell: Group, reference: str) -> float:
    """Two errors of a cell below it are indistinguishable: the reference's accuracy, or the rounding of a chain."""
    return max(floor_of(cell, reference), PRECISION.get(cell.dtype, PRECISION["float64"]))


def read(cell: Group, reference: str, target: str) -> Reading | None:
    """The median error of a cell against one reference for one target; None if it was not measured."""
    error = cell.median(f"{reference}_error_{target}")
    if error is None or not cell.measured:
        return None
    floor = floor_of(cell, reference)
    if not is_finite(error):
        return Reading(error, error, "not finite", floor)
    mark = "value" if error > floor else "floor" if error else "exact"
    return Reading(error, max(error, floor), mark, floor)


@dataclass(frozen=True)
class Power:
    """y ~ factor * x^slope over `points` points; slope lies in [low, high] at 95 %, by Student's t on the residuals.

    The interval is infinite if two points leave no residual.
    """

    slope: float
    low: float
    high: float
    factor: float
    points: int

    def at(self, x: float) -> float:
        """The fitted value at x."""
        return self.factor * x**self.slope


def fit_power(xs: Sequence[float], ys: Sequence[float]) -> Power | None:
    """The least-squares line through log y over log x; None with fewer than two different x."""
    kept = [(math.log(x), math.log(y)) for x, y in zip(xs, ys, strict=True) if x > 0 and 0 < y < math.inf]
    if len({x for x, _ in kept}) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(kept) for column in zip(*kept, strict=True))
    square = sum((x - mean_x) ** 2 for x, _ in kept)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in kept) / square
    residual = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in kept)
    half = _half_width(len(kept) - 2, residual, square)
    return Power(slope, slope - half, slope + half, math.exp(mean_y - slope * mean_x), len(kept))


def fit_order(steps: Sequence[float], errors: Sequence[float], floor: float = 0.0) -> Power | None:
    """The power of the steps at which an error falls: its slope is minus the order.

    Errors not above 3 floors (partly due to rounding or the reference) or not below 1 (no digit is right) show no order
    and are left out.
    """
    kept = [(n, e) for n, e in zip(steps, errors, strict=True) if 3 * floor < e < 1]
    return fit_power([n for n, _ in kept], [e for _, e in kept])


def _half_width(freedom: int, residual: float, square: float) -> float:
    if freedom < 1:
        return math.inf
    from scipy import stats

    return float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(residual / freedom / square)
