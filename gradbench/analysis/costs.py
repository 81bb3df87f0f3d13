"""What a gradient cost. A row's counts and time are those of one draw, its error is that of the mean of all draws."""

from typing import Any

from gradbench.analysis.cells import Cell
from gradbench.analysis.numbers import number
from gradbench.analysis.spread import Spread, spread

Row = dict[str, Any]
COSTS = ("time", "nfe", "vjps", "memory")


def cost(cell: Cell, kind: str, unit: float = 1.0) -> Spread | None:
    """The spread of one cost, in units, over the rows that ended well; None where it was not measured.

    kind: `time` in seconds, over every sample of every row; `nfe`, network evaluations of both passes; `vjps`;
    `memory`, the peak in bytes. All are of all draws together, made one by one, so that memory does not grow with them.
    """
    values = (value for row in cell.measured for value in _values(row, kind))
    return spread(value / unit for value in values if value is not None)


def _values(row: Row, kind: str) -> list[float | None]:
    draws = number(row.get("draws")) or 1.0
    if kind == "memory":
        return [number(row.get("peak_bytes"))]
    if kind == "time":
        samples = row.get("time_samples")
        times = list(samples) if samples is not None and len(samples) else [row.get("time_s")]
        return [None if (t := number(time)) is None else t * draws for time in times]
    names = ("nfe_forward", "nfe_backward") if kind == "nfe" else ("vjps",)
    found = [count for name in names if (count := number(row.get(name))) is not None]
    return [sum(found) * draws if found else None]
