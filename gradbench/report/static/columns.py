"""The columns that tables of figures share, and what axes call a reference and a target."""

from typing import Any

from gradbench.analysis.cells import Cell
from gradbench.analysis.label import label, params_of
from gradbench.analysis.spread import Spread
from gradbench.report.static.points import Point, name_of

WORDS = {"flow": "the exact flow", "sampler": "the sampler's own", "expected": "the expected gradient"}
NAMES = {"x_T": "dL/dx_T", "condition": "dL/dcondition", "parameters": "dL/dparameters"}


def identity(cell: Cell) -> dict[str, Any]:
    """The first columns of every table: what was measured, all options said."""
    options = params_of(cell.rows[0], "estimator")
    return {
        "case": cell.case,
        "sampler": cell.sampler,
        "dtype": cell.dtype,
        "steps": cell.steps,
        "estimator": cell.estimator,
        "options": label(name_of(cell), options),
        "rows": len(cell.measured),
    }


def error_columns(point: Point, reference: str, target: str) -> dict[str, Any]:
    """The error of a point with its quartiles, its mark and its floor."""
    return {
        "reference": reference,
        "target": target,
        "error": point.reading.shown,
        "error_low": point.error.low,
        "error_high": point.error.high,
        "mark": point.reading.mark,
        "floor": point.reading.floor,
    }


def spread_columns(name: str, found: Spread | None) -> dict[str, float | None]:
    """A median and its quartiles."""
    values = (None,) * 3 if found is None else (found.mid, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def error_label(reference: str, target: str) -> str:
    """What an axis of errors says."""
    return f"relative error of {NAMES[target]}\nagainst {WORDS[reference]}"
