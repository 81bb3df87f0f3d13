"""Error against work: the cost of accuracy, per estimator over its steps, with the Pareto front."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradbench.analysis.costs import COSTS
from gradbench.analysis.words import seconds
from gradbench.bench.row import Row
from gradbench.report import model, points
from gradbench.report.points import DEFAULT, Ask, Errors, NoData
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn
from gradbench.report.style import Style

LABELS = {
    "time": "time of the gradient",
    "nfe": "network evaluations (NFE)",
    "vjps": "evaluations pulled back (VJPs)",
    "memory": "peak memory over weights and inputs ({unit})",
}


@canvas.themed
def work_precision(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """Error against time, NFE, VJPs and peak memory; `NoData` if no error and cost were measured together.

    Table: one line per (cell, cost) with the cost's quartiles over time samples and rows, the error's over rows, and
    `front`, whether no other cell of the figure is better in one and no worse in the other.
    """
    found = points.ordered(rows)
    errors = points.errors(found, *points.choose(found, ask))
    tables = {kind: pd.DataFrame(_lines(errors, kind)) for kind in COSTS}
    table = pd.concat([part for part in tables.values() if len(part)] or [pd.DataFrame()], ignore_index=True)
    if table.empty:
        raise NoData("no cell has both an error and a cost")
    figure, grid = canvas.canvas(ask.title, canvas.DOUBLE, 4.6, 2, 2, sharey=True)
    styles = points.looks(point.cell for point in errors.points)
    lost = {name: sum(cell.estimator == name and cell.failed for cell in found) for name in styles}
    words = {name: name + (f" ({lost[name]} failed)" if lost[name] else "") for name in styles}
    handles: dict[str, Line2D] = {}
    drawn = ", all draws" if any(point.cell.median("draws") for point in errors.points) else ""
    for axes, kind in zip(grid.flat, COSTS, strict=True):
        part = tables[kind]
        if part.empty:
            continue
        scale, unit = canvas.byte_unit(part.value.max()) if kind == "memory" else (1.0, "")
        handles |= _draw(axes, part, styles, words, scale)
        axes.set_xlabel(LABELS[kind].format(unit=unit) + (drawn if kind != "memory" else ""))
        canvas.log_axis(axes, "x", seconds if kind == "time" else None)
    band, note = pens.floor(grid.flat, errors)
    for axes in grid[:, 0]:
        axes.set_ylabel(errors.label)
    canvas.log_axis(grid[0, 0], "y")
    front = Line2D([], [], color=canvas.MUTED, linewidth=4, alpha=0.35, label="Pareto front, its points ringed")
    shown = [handles[name] for name in styles if name in handles]
    canvas.legend(figure, [*shown, front, *band], f"Bars are quartiles. {note}{errors.absent(found)}")
    return figure, table


def _lines(errors: Errors, kind: str) -> list[dict[str, Any]]:
    """The table of one cost."""
    return [
        points.identity(priced.point.cell)
        | {"cost": kind}
        | points.spread_columns("value", priced.cost)
        | errors.columns(priced.point)
        | {"front": priced.front}
        for priced in model.work_precision(errors, kind)
    ]


def _draw(
    axes: Axes, table: pd.DataFrame, styles: dict[str, Style], words: dict[str, str], scale: float
) -> dict[str, Line2D]:
    """The front, and one line per estimator with bars both ways."""
    table = table.assign(**{name: table[name] / scale for name in ("value", "value_low", "value_high")})
    best = table.loc[table.front].sort_values(by="value")
    axes.step(best.value, best.error, where="post", color=canvas.MUTED, linewidth=4, alpha=0.35, zorder=1)
    pens.ring(axes, list(best.value), list(best.error))
    parts = {name: part for name in styles if len(part := table.loc[table.estimator == name])}
    above = pens.stacked(zip(part.value, part.error, strict=True) for part in parts.values())
    handles = {}
    for (name, part), under in zip(parts.items(), above, strict=True):
        x, y, style = list(part.value), list(part.error), styles[name]
        pens.bars(axes, style.light, x, y, list(zip(part.value_low, part.value_high, strict=True)), True)
        pens.bars(axes, style.light, x, y, list(zip(part.error_low, part.error_high, strict=True)), False)
        handles[name] = pens.line(axes, style, x, y, words[name], **pens.look(style, under), zorder=2)
    return handles
