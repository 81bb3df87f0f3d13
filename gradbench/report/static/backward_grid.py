"""Error against the steps of the backward pass: what a continuous adjoint loses on a coarser grid."""

from typing import Any

import pandas as pd

from gradbench.analysis.cells import Cell
from gradbench.analysis.label import params_of
from gradbench.analysis.numbers import number
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.report.static import canvas, columns, pens, points
from gradbench.report.static.points import DEFAULT, Ask, Drawn, NoData, Point

MOST = 3  # frames, one a number N of forward steps


@canvas.themed
def backward_grid(rows: list[dict[str, Any]], ask: Ask = DEFAULT) -> Drawn:
    """Error against M, the steps of the backward pass, one frame a number N of the sampler's steps.

    `NoData` where no estimator was run with M other than N. Table: one line a cell: `forward_steps`, `backward_steps`,
    network evaluations `nfe_backward` of the backward pass, the error with its quartiles.
    """
    adjoints = [_on_backward_grid(row) for row in rows if "steps" in params_of(row, "estimator")]
    every = {n: points.ordered([row for row in adjoints if row["forward"] == n]) for n in _forward(adjoints)}
    every = {n: found for n, found in every.items() if any(cell.steps != n for cell in found)}
    if not every:
        raise NoData("no backward pass was run on another grid than the sampler's")
    cells = [cell for found in every.values() for cell in found]
    reference, target = points.choose(cells, ask)
    kept = {n: points.measured(found, reference, target) for n, found in every.items()}
    shown = sorted(sorted(kept, key=lambda n: len(kept[n]), reverse=True)[:MOST])
    figure, grid = canvas.canvas(ask.title, canvas.DOUBLE, 2.6, 1, len(shown), sharey=True)
    styles = points.looks(cells)
    handles: dict[str, Any] = {}
    for axes, n in zip(grid.flat, shown, strict=True):
        data = points.curves((point.cell, point.cell.steps or 0, point.error) for point in kept[n])
        handles |= {str(line.get_label()): line for line in pens.curves(axes, styles, data, {})}
        exact = _exact(rows, n, reference, target)
        if exact is not None:
            handles["exact"] = pens.level(axes, exact.reading.shown, "exact transpose of the sampler's steps")
        pens.steps_axis(axes, (point.cell.steps for point in kept[n]), "backward steps M")
        axes.set_title(f"N = {n} steps of the sampler", loc="left", fontsize=canvas.SMALL)
    drawn = [point for n in shown for point in kept[n]]
    band, note = pens.floor(grid.flat, points.bound(drawn), min(point.error.low for point in drawn))
    canvas.log_axis(grid[0, 0], "y")
    grid[0, 0].set_ylabel(columns.error_label(reference, target))
    ordered = [handles[name] for name in (*styles, "exact") if name in handles]
    canvas.legend(figure, [*ordered, *band], f"Bars are quartiles. {note}")
    lines = [_line(point, n, reference, target) for n, found in kept.items() for point in found]
    return figure, pd.DataFrame(lines)


def _on_backward_grid(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the backward pass's steps as its own, and the sampler's as `forward`."""
    options = dict(params_of(row, "estimator"))
    backward = number(options.pop("steps"))
    return {**row, "estimator_params": options, "forward": row["steps"], "steps": backward or row["steps"]}


def _forward(rows: list[dict[str, Any]]) -> list[int]:
    return sorted({row["forward"] for row in rows if row["forward"]})


def _exact(rows: list[dict[str, Any]], n: int, reference: str, target: str) -> Point | None:
    """What the exact transpose of the sampler's steps reaches, for comparison."""
    names = [name for name, entry in ESTIMATORS.items() if entry.traits.get("exact")]
    found = points.ordered([row for row in rows if row.get("estimator") in names and row.get("steps") == n])
    return next(iter(points.measured(found, reference, target)), None)


def _line(point: Point, n: int, reference: str, target: str) -> dict[str, Any]:
    cell: Cell = point.cell
    return {
        **{name: value for name, value in columns.identity(cell).items() if name != "steps"},
        "forward_steps": n,
        "backward_steps": cell.steps,
        "nfe_backward": cell.median("nfe_backward"),
        **columns.error_columns(point, reference, target),
    }
