"""Errors and costs against the dtype, the dimension of a sample and the size of a batch."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from matplotlib.lines import Line2D

from gradbench.analysis.costs import cost
from gradbench.analysis.errors import EPSILON
from gradbench.analysis.rows import is_finite, number, params_of
from gradbench.analysis.words import seconds
from gradbench.bench.row import Row
from gradbench.report import points
from gradbench.report.points import DEFAULT, Ask, NoData
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn

WIDTH = 0.7  # of a dtype's slot, shared by estimators
PARTS = {"method_error": ("_", "of the method, without rounding"), "rounding_error": ("x", "of rounding alone")}
SIZES = {"dim": "dimension of a sample", "batch": "samples in a batch"}


@canvas.themed
def precision(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """Error of each estimator by dtype, with the parts `method_error` and `rounding_error` if rows have them.

    The number of steps with the most dtypes and estimators is drawn. `NoData` with fewer than two dtypes. Table: one
    line per cell: the error with its quartiles, the two parts, and `unit`, the dtype's rounding unit.
    """
    every = points.ordered(rows)
    found = points.errors(every, *points.choose(every, ask))
    counts = Counter(point.cell.steps or 0 for point in found.points)
    steps = max(counts, key=lambda n: (counts[n], n), default=0)
    kept = found.of(point for point in found.points if point.cell.steps == steps)
    dtypes = [dtype for dtype in EPSILON if any(point.cell.dtype == dtype for point in kept.points)]
    if len(dtypes) < 2:
        raise NoData("no case was run in two dtypes with the same steps")
    styles = points.looks(point.cell for point in kept.points)
    shift = {name: WIDTH * ((i + 0.5) / len(styles) - 0.5) for i, name in enumerate(styles)}
    place = {dtype: i + 1 for i, dtype in enumerate(dtypes)}
    figure, ((axes,),) = canvas.canvas(f"{ask.title}, {steps} steps", canvas.DOUBLE, 2.8)
    data = points.curves((p.cell, place[p.cell.dtype] + shift[p.cell.estimator], p.error) for p in kept.points)
    handles = pens.curves(axes, styles, data, {})
    for line in handles:
        line.set_linestyle("")
    for column, (mark, words) in PARTS.items():
        measured = ((point.cell, point.cell.median(f"{column}_{kept.target}")) for point in kept.points)
        parts = [(cell, value) for cell, value in measured if value and is_finite(value)]
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
    band, note = pens.floor([axes], kept)
    canvas.log_axis(axes, "y")
    axes.set_ylabel(kept.label)
    canvas.legend(figure, [*handles, *band], f"Bars are quartiles. {note}")
    return figure, pd.DataFrame(
        [
            points.identity(point.cell)
            | found.columns(point)
            | {column: point.cell.median(f"{column}_{found.target}") for column in PARTS}
            | {"unit": EPSILON.get(point.cell.dtype)}
            for point in found.points
        ]
    )


def scaling_dimension(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """`scaling` with the case's `dim`."""
    return scaling(rows, ask, "dim")


def scaling_batch(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """`scaling` with the case's `batch`."""
    return scaling(rows, ask, "batch")


@canvas.themed
def scaling(rows: Sequence[Row], ask: Ask, parameter: str) -> Drawn:
    """Error, time and peak memory of each estimator against a size of the case.

    The number of steps with the most sizes and estimators is drawn. `NoData` with fewer than two sizes. Table: one line
    per cell: the size, the error, `time_s` and `peak_bytes` with their quartiles.
    """
    every = points.ordered(rows)
    found = points.errors(every, *points.choose(every, ask))
    sized = [(size, p) for p in found.points if (size := number(params_of(p.cell.rows[0], "case").get(parameter)))]
    sized.sort(key=lambda pair: pair[0])
    at = {n: [size for size, p in sized if p.cell.steps == n] for n in {p.cell.steps for _, p in sized}}
    steps = max(at, key=lambda n: (len(set(at[n])), len(at[n]), n or 0), default=None)
    drawn = [(size, p) for size, p in sized if p.cell.steps == steps]
    kept, sizes = found.of(p for _, p in drawn), {size for size, _ in drawn}
    if len(sizes) < 2:
        raise NoData(f"no case was run with two values of {parameter} and the same steps")
    figure, ((left, middle, right),) = canvas.canvas(f"{ask.title}, {steps} steps", canvas.DOUBLE, 2.3, 1, 3)
    scale, unit = canvas.byte_unit(max(p.cell.median("peak_bytes") or 0.0 for p in kept.points))
    styles = points.looks(p.cell for p in kept.points)
    handles = pens.curves(left, styles, points.curves((p.cell, size, p.error) for size, p in drawn), {})
    band, note = pens.floor([left], kept)
    for axes, kind, per in ((middle, "time", 1.0), (right, "memory", scale)):
        paid = ((p.cell, size, cost(p.cell, kind)) for size, p in drawn)
        pens.curves(axes, styles, points.curves((c, size, each and each.over(per)) for c, size, each in paid), {})
    for axes in (left, middle, right):
        canvas.log_axis(axes, "y", seconds if axes is middle else None)
        pens.steps_axis(axes, sizes, SIZES.get(parameter, parameter))
    left.set_ylabel(kept.label)
    middle.set_ylabel("time of the gradient")
    right.set_ylabel(f"peak memory over\nweights and inputs ({unit})")
    canvas.legend(figure, [*handles, *band], f"Bars are quartiles. {note}")
    return figure, pd.DataFrame(
        [
            points.identity(p.cell)
            | {parameter: size}
            | found.columns(p)
            | points.spread_columns("time_s", cost(p.cell, "time"))
            | points.spread_columns("peak_bytes", cost(p.cell, "memory"))
            for size, p in sized
        ]
    )
