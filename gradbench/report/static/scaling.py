"""Error, time and memory against the dimension of the samples, or against the size of the batch."""

from typing import Any

import pandas as pd

from gradbench.analysis.costs import cost
from gradbench.analysis.label import params_of
from gradbench.analysis.numbers import number
from gradbench.report.static import canvas, columns, pens, points
from gradbench.report.static.points import DEFAULT, Ask, Drawn, NoData, Point

WORDS = {"dim": "dimension of a sample", "batch": "samples in a batch"}


def scaling_dimension(rows: list[dict[str, Any]], ask: Ask = DEFAULT) -> Drawn:
    """`scaling` with the case's `dim`."""
    return scaling(rows, ask, "dim")


def scaling_batch(rows: list[dict[str, Any]], ask: Ask = DEFAULT) -> Drawn:
    """`scaling` with the case's `batch`."""
    return scaling(rows, ask, "batch")


@canvas.themed
def scaling(rows: list[dict[str, Any]], ask: Ask, parameter: str) -> Drawn:
    """Error, time and peak memory of each estimator against a size of the case.

    Of the numbers of steps the one is drawn that has most sizes and estimators. `NoData` with fewer than two sizes.
    Table: one line a cell: the size, the error, `time_s` and `peak_bytes` with their quartiles.
    """
    found = points.ordered(rows)
    reference, target = points.choose(found, ask)
    size = {id(cell): number(params_of(cell.rows[0], "case").get(parameter)) or 0.0 for cell in found}
    sized = [point for point in points.measured(found, reference, target) if size[id(point.cell)]]
    sized.sort(key=lambda point: size[id(point.cell)])
    counts = {n: len({size[id(p.cell)] for p in sized if p.cell.steps == n}) for n in {p.cell.steps for p in sized}}
    steps = max(counts, key=lambda n: (counts[n], sum(p.cell.steps == n for p in sized), n or 0), default=None)
    kept = [point for point in sized if point.cell.steps == steps]
    sizes = {size[id(point.cell)] for point in kept}
    if len(sizes) < 2:
        raise NoData(f"no case was run with two values of {parameter} and the same steps")
    figure, ((left, middle, right),) = canvas.canvas(f"{ask.title}, {steps} steps", canvas.DOUBLE, 2.3, 1, 3)
    scale, unit = canvas.byte_unit(max(p.cell.median("peak_bytes") or 0.0 for p in kept))
    styles = points.looks(cell for cell in found if any(point.cell is cell for point in kept))
    handles = pens.curves(left, styles, points.curves([(p.cell, size[id(p.cell)], p.error) for p in kept]), {})
    band, note = pens.floor([left], points.bound(kept), min(point.error.low for point in kept))
    for axes, kind, per in ((middle, "time", 1.0), (right, "memory", scale)):
        pens.curves(
            axes, styles, points.curves([(p.cell, size[id(p.cell)], cost(p.cell, kind, per)) for p in kept]), {}
        )
    for axes in (left, middle, right):
        canvas.log_axis(axes, "y", canvas.duration if axes is middle else None)
        pens.steps_axis(axes, sizes, WORDS.get(parameter, parameter))
    left.set_ylabel(columns.error_label(reference, target))
    middle.set_ylabel("time of the gradient")
    right.set_ylabel(f"peak memory over\nweights and inputs ({unit})")
    canvas.legend(figure, [*handles, *band], f"Bars are quartiles. {note}")
    return figure, pd.DataFrame([_line(p, {parameter: size[id(p.cell)]}, reference, target) for p in sized])


def _line(point: Point, size: dict[str, float], reference: str, target: str) -> dict[str, Any]:
    return {
        **columns.identity(point.cell),
        **size,
        **columns.error_columns(point, reference, target),
        **columns.spread_columns("time_s", cost(point.cell, "time")),
        **columns.spread_columns("peak_bytes", cost(point.cell, "memory")),
    }
