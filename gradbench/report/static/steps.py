"""Errors against steps: orders of convergence, direction and length, and the steps of the backward pass."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from gradbench.analysis.cells import Group
from gradbench.analysis.errors import EPSILON, Power, fit_order
from gradbench.analysis.rows import Spread, number, params_of, spread
from gradbench.bench.row import Row
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.report import points
from gradbench.report.points import DEFAULT, Ask, NoData, Point
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn

ROUNDINGS = 32  # units that a chain adds up: an error of less than 3 times this is not discretisation
LEAST = 2.0**-53  # a cosine nearer to 1 is 1 to the last bit of float64
MOST_FRAMES = 3  # frames of backward grids, one per number N of forward steps


@canvas.themed
def convergence(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """Error against the sampler's steps N with the fitted order of each estimator and its 95 % interval.

    `NoData` if no estimator was measured at two numbers of steps. Table: one line per cell with the error's quartiles
    over rows, and `order`, `order_low`, `order_high` and `order_points` of its estimator's fit.
    """
    found = points.ordered(rows)
    every = points.errors(found, *points.choose(found, ask))
    kept = every.of(point for point in every.points if point.cell.steps)
    data = points.curves((point.cell, point.cell.steps or 0, point.error) for point in kept.points)
    if not any(len(curve) > 1 for curve in data.values()):
        raise NoData("no estimator was measured at two numbers of steps")
    dtype = kept.points[0].cell.dtype
    rounding = EPSILON.get(dtype, 0.0)
    floor = max(ROUNDINGS * rounding, *(point.reading.floor for point in kept.points))
    orders = {name: _fit(curve, floor) for name, curve in data.items()}
    figure, ((axes,),) = canvas.canvas(ask.title, canvas.DOUBLE, 3.0)
    styles = points.looks(point.cell for point in kept.points)
    handles = pens.curves(axes, styles, data, {name: f"{name}: {_order_words(orders[name])}" for name in data})
    for name, order in orders.items():
        if order is not None:
            steps = [n for n, _ in data[name]]
            axes.plot(steps, [order.at(n) for n in steps], color=styles[name].light, linewidth=0.5, zorder=1)
    band, note = pens.floor([axes], kept)
    if kept.lowest <= points.NEAR * rounding:
        handles.append(pens.level(axes, rounding, f"rounding unit of {dtype}: {rounding:.1e}"))
    canvas.log_axis(axes, "y")
    pens.steps_axis(axes, (point.cell.steps for point in kept.points))
    axes.set_ylabel(kept.label)
    pens.failures(axes, found, styles)
    note = f"After each name: its order by least squares (thin line) ± its 95 % interval; bars are quartiles. {note}"
    note += kept.absent(found)
    canvas.legend(figure, [*handles, *band], note)
    fits = {name: _order_columns(order) for name, order in orders.items()}
    return figure, pd.DataFrame(
        [points.identity(p.cell) | kept.columns(p) | fits[p.cell.estimator] for p in kept.points]
    )


def _fit(curve: points.Curve, floor: float) -> Power | None:
    return fit_order([steps for steps, _ in curve], [error.mid for _, error in curve], floor)


def _order_words(fit: Power | None) -> str:
    if fit is None:
        return "not fitted"
    half = f" ± {fit.high - fit.slope:.2f}" if math.isfinite(fit.high) else ""
    return f"{-fit.slope:.2f}{half}"


def _order_columns(fit: Power | None) -> dict[str, Any]:
    """The order is minus the slope."""
    values = (None, None, None, 0) if fit is None else (-fit.slope, -fit.high, -fit.low, fit.points)
    return dict(zip(("order", "order_low", "order_high", "order_points"), values, strict=True))


@canvas.themed
def direction(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """1 - cosine, and the ratio of the norms, against steps; `NoData` if no cell has both.

    Table: one line per cell with the medians of `one_minus_cosine` (raised to 2^-53) and `norm_ratio`, and quartiles.
    """
    every = points.ordered(rows)
    reference, target = points.choose(every, ask)
    found = [
        (cell, turned, ratio)
        for cell in every
        if cell.steps
        and (turned := _turned(cell, reference, target))
        and (ratio := spread(row.get(f"{reference}_norm_ratio_{target}") for row in cell.measured))
    ]
    if not found:
        raise NoData("no cell has a cosine and a norm ratio")
    figure, ((left, right),) = canvas.canvas(ask.title, canvas.DOUBLE, 2.6, 1, 2)
    styles = points.looks(cell for cell, _, _ in found)
    handles = pens.curves(left, styles, points.curves((c, c.steps or 0, turned) for c, turned, _ in found), {})
    pens.curves(right, styles, points.curves((c, c.steps or 0, ratio) for c, _, ratio in found), {})
    for axes in (left, right):
        canvas.log_axis(axes, "y")
        pens.steps_axis(axes, (cell.steps for cell, _, _ in found))
        pens.failures(axes, every, styles)
    left.set_ylabel(f"1 - cosine between {points.GRADIENTS[target]}\nand that of {points.AGAINST[reference]}")
    right.set_ylabel(f"norm of {points.GRADIENTS[target]}\nover that of {points.AGAINST[reference]}")
    right.axhline(1.0, color=canvas.INK, linewidth=0.7, zorder=1)
    canvas.legend(figure, handles, "Exact: 1 - cosine = 0 and a ratio of 1. Bars are quartiles.")
    return figure, pd.DataFrame(
        [
            points.identity(cell)
            | {"reference": reference, "target": target}
            | points.spread_columns("one_minus_cosine", turned)
            | points.spread_columns("norm_ratio", ratio)
            for cell, turned, ratio in found
        ]
    )


def _turned(cell: Group, reference: str, target: str) -> Spread | None:
    cosines = [number(row.get(f"{reference}_cosine_{target}")) for row in cell.measured]
    return spread(max(1 - cosine, LEAST) for cosine in cosines if cosine is not None)


@canvas.themed
def backward_grid(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """Error against M, the steps of the backward pass, one frame per number N of the sampler's steps.

    `NoData` if no estimator was run with M other than N. Table: one line per cell: `forward_steps`, `backward_steps`,
    network evaluations `nfe_backward` of the backward pass, the error with its quartiles.
    """
    adjoints: dict[int, list[Row]] = {}
    for row in rows:
        if "steps" in params_of(row, "estimator") and row["steps"]:
            adjoints.setdefault(row["steps"], []).append(_on_backward_grid(row))
    every = {n: points.ordered(adjoints[n]) for n in sorted(adjoints)}
    every = {n: found for n, found in every.items() if any(cell.steps != n for cell in found)}
    if not every:
        raise NoData("no backward pass was run on a grid other than the sampler's")
    cells = [cell for found in every.values() for cell in found]
    held = points.choose(cells, ask)
    kept = {n: points.errors(found, *held) for n, found in every.items()}
    shown = sorted(sorted(kept, key=lambda n: len(kept[n].points), reverse=True)[:MOST_FRAMES])
    figure, grid = canvas.canvas(ask.title, canvas.DOUBLE, 2.6, 1, len(shown), sharey=True)
    styles = points.looks(cells)
    handles: dict[str, Any] = {}
    for axes, n in zip(grid.flat, shown, strict=True):
        data = points.curves((point.cell, point.cell.steps or 0, point.error) for point in kept[n].points)
        handles |= {str(line.get_label()): line for line in pens.curves(axes, styles, data, {})}
        exact = _exact(rows, n, *held)
        if exact is not None:
            handles["exact"] = pens.level(axes, exact.reading.shown, "exact transpose of the sampler's steps")
        pens.steps_axis(axes, (point.cell.steps for point in kept[n].points), "backward steps M")
        axes.set_title(f"N = {n} steps of the sampler", loc="left", fontsize=canvas.SMALL)
    drawn = points.Errors(*held, tuple(point for n in shown for point in kept[n].points))
    band, note = pens.floor(grid.flat, drawn)
    canvas.log_axis(grid[0, 0], "y")
    grid[0, 0].set_ylabel(drawn.label)
    ordered = [handles[name] for name in (*styles, "exact") if name in handles]
    canvas.legend(figure, [*ordered, *band], f"Bars are quartiles. {note}")
    lines = [_grid_columns(point, n) | found.columns(point) for n, found in kept.items() for point in found.points]
    return figure, pd.DataFrame(lines)


def _on_backward_grid(row: Row) -> Row:
    """The row with the backward pass's steps as its own."""
    options = dict(params_of(row, "estimator"))
    backward = number(options.pop("steps"))
    return Row({**row, "estimator_params": options, "steps": backward or row["steps"]})


def _exact(rows: Sequence[Row], n: int, reference: str, target: str) -> Point | None:
    """What the exact transpose of the sampler's steps reaches, for comparison."""
    names = [name for name, entry in ESTIMATORS.items() if entry.traits.exact]
    found = points.ordered([row for row in rows if row.get("estimator") in names and row.get("steps") == n])
    return next(iter(points.errors(found, reference, target).points), None)


def _grid_columns(point: Point, n: int) -> dict[str, Any]:
    return {
        **{name: value for name, value in points.identity(point.cell).items() if name != "steps"},
        "forward_steps": n,
        "backward_steps": point.cell.steps,
        "nfe_backward": point.cell.median("nfe_backward"),
    }
