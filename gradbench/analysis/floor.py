"""The floor of an error: below the accuracy of its reference, an error is not a number."""

from dataclasses import dataclass

from gradbench.analysis.cells import Cell
from gradbench.analysis.numbers import is_finite, number

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@dataclass(frozen=True)
class Reading:
    """An error as it may be shown: `shown` is never below the floor.

    mark: "value", "floor" (at or below the floor), "exact" (zero to the last bit) or "not finite".
    """

    error: float
    shown: float
    mark: str


def floor_of(cell: Cell) -> float:
    """The tolerance of the cell's reference; the rounding unit of its dtype where no tolerance is given."""
    tolerances = [tol for row in cell.rows if (tol := number(row.get("reference_tol"))) and is_finite(tol) and tol > 0]
    return max(tolerances, default=EPSILON.get(cell.dtype, EPSILON["float64"]))


def read(cell: Cell, reference: str, target: str) -> Reading | None:
    """The median error of a cell against one reference for one target; None where it was not measured."""
    error = cell.median(f"{reference}_error_{target}")
    if error is None or not cell.measured:
        return None
    if not is_finite(error):
        return Reading(error, error, "not finite")
    floor = floor_of(cell)
    mark = "value" if error > floor else "floor" if error else "exact"
    return Reading(error, max(error, floor), mark)
