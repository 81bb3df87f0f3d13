"""The floor of an error: below the accuracy of its reference, an error is not a number."""

from collections.abc import Iterable
from dataclasses import dataclass

from gradbench.analysis.cells import Cell, Row
from gradbench.analysis.numbers import is_finite, number

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "tf32": 2.0**-10, "float16": 2.0**-10, "bfloat16": 2.0**-7}
ROUNDING = {"float64": 1e-12, "float32": 1e-5, "tf32": 1e-2, "float16": 1e-2, "bfloat16": 5e-2}
"""Of a whole chain in that dtype: an error below it is that of the arithmetic, and no method's."""


@dataclass(frozen=True)
class Reading:
    """An error as it may be shown: `shown` is never below the floor.

    mark: "value", "floor" (at or below the floor), "exact" (zero to the last bit) or "not finite". floor: the accuracy
    of the reference that the error is held against.
    """

    error: float
    shown: float
    mark: str
    floor: float


def floor_of(cell: Cell, reference: str) -> float:
    """The accuracy of one reference of a cell."""
    return tolerance(cell.rows, cell.dtype, reference)


def tolerance(rows: Iterable[Row], dtype: str, reference: str) -> float:
    """The tolerance of one reference of a cell's rows, of all of them together, or the rounding unit of the dtype.

    The first that the rows give: a reference has a tolerance of its own where a row says so.
    """
    rows = list(rows)
    for column in (f"{reference}_tol", "reference_tol"):
        found = [tol for row in rows if (tol := number(row.get(column))) and is_finite(tol) and tol > 0]
        if found:
            return max(found)
    return EPSILON.get(dtype, EPSILON["float64"])


def resolution(cell: Cell, reference: str) -> float:
    """Below it two errors of a cell are not told apart: the accuracy of the reference, or the rounding of a chain."""
    return max(floor_of(cell, reference), ROUNDING.get(cell.dtype, ROUNDING["float64"]))


def read(cell: Cell, reference: str, target: str) -> Reading | None:
    """The median error of a cell against one reference for one target; None where it was not measured."""
    error = cell.median(f"{reference}_error_{target}")
    if error is None or not cell.measured:
        return None
    floor = floor_of(cell, reference)
    if not is_finite(error):
        return Reading(error, error, "not finite", floor)
    mark = "value" if error > floor else "floor" if error else "exact"
    return Reading(error, max(error, floor), mark, floor)
