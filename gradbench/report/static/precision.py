"""Dtype against estimator: how much of an error is the method's own, and how much is rounding."""

from typing import Any

import pandas as pd
from matplotlib.lines import Line2D

from gradbench.analysis.cells import Cell
from gradbench.analysis.floor import EPSILON
from gradbench.analysis.numbers import is_finite
from gradbench.report.static import canvas, columns, pens, points
from gradbench.report.static.points import DEFAULT, Ask, Drawn, NoData

WIDTH = 0.7  # of a dtype's place, which estimators share
PARTS = {"method_error": ("_", "of the method, without rounding"), "rounding_error": ("x", "of rounding alone")}


@canvas.themed
def precision(rows: list[dict[str, Any]], ask: Ask = DEFAULT) -> Drawn:
    """Error of each estimator by dtype, with the parts `method_error` and `rounding_error` where rows have them.

    Of the numbers of steps the one is drawn that has most dtypes and estimators. `NoData` with fewer than two dtypes.
    Table: one line a cell: the error with its quartiles, the two parts, and `unit`, the dtype's rounding unit.
    """
    every = points.ordered(rows)
    reference, target = points.choose(every, ask)
    found = points.measured(every, reference, target)
    steps = max((p.cell.steps or 0 for p in found), key=lambda n: (sum(p.cell.steps == n for p in found), n))
    kept = [point for point in found if point.cell.steps == steps]
    dtypes = [dtype for dtype in EPSILON if any(point.cell.dtype == dtype for point in kept)]
    if len(dtypes) < 2:
        raise NoData("no case was run in two dtypes with the same steps")
    names = list(points.looks(point.cell for point in kept))
    shift = {name: WIDTH * ((i + 0.5) / len(names) - 0.5) for i, name in enumerate(names)}
    place = {dtype: i + 1 for i, dtype in enumerate(dtypes)}
    figure, ((axes,),) = canvas.canvas(f"{ask.title}, {steps} steps", canvas.DOUBLE, 2.8)
    data = points.curves((p.cell, place[p.cell.dtype] + shift[p.cell.estimator], p.error) for p in kept)
    styles = points.looks(point.cell for point in kept)
    handles = pens.curves(axes, styles, data, {})
    for line in handles:
        line.set_linestyle("")
    for column, (mark, words) in PARTS.items():
        parts = [(p.cell, value) for p in kept if (value := p.cell.median(f"{column}_{target}")) and is_finite(value)]
        for cell, value in parts:
            at = place[cell.dtype] + shift[cell.estimator]
            axes.plot([at], [value], marker=mark, color=styles[cell.estimator].light, markersize=6, linestyle="")
        if parts:
            handles.append(Line2D([], [], color=canvas.MUTED, marker=mark, linestyle="", label=f"error {words}"))
    for dtype, at in place.items():
        axes.plot([at - 0.45, at + 0.45], [EPSILON[dtype]] * 2, color=canvas.MUTED, linestyle=(0, (1, 1.5)))
    handles.append(Line2D([], [], color=canvas.MUTED, linestyle=(0, (1, 1.5)), label="rounding unit of the dtype"))
    axes.set_xticks(list(place.values()), dtypes)
    axes.set_xlim(0.5, len(dtypes) + 0.5)
    axes.grid(False, axis="x")
    band, note = pens.floor([axes], points.bound(kept), min(point.error.low for point in kept))
    canvas.log_axis(axes, "y")
    axes.set_ylabel(columns.error_label(reference, target))
    canvas.legend(figure, [*handles, *band], f"Bars are quartiles. {note}")
    return figure, pd.DataFrame(
        [
            columns.identity(point.cell)
            | columns.error_columns(point, reference, target)
            | {column: _part(point.cell, column, target) for column in PARTS}
            | {"unit": EPSILON.get(point.cell.dtype)}
            for point in found
        ]
    )


def _part(cell: Cell, column: str, target: str) -> float | None:
    return cell.median(f"{column}_{target}")
