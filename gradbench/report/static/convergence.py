"""Error against steps: at which order each estimator converges, and to what."""

import math
from typing import Any

import pandas as pd

from gradbench.analysis.convergence import Power, fit_order
from gradbench.analysis.floor import EPSILON
from gradbench.report.static import canvas, columns, pens, points
from gradbench.report.static.points import DEFAULT, Ask, Drawn, NoData

ROUNDINGS = 32  # units that a chain adds up: an error of less than 3 times so much is no discretisation's


@canvas.themed
def convergence(rows: list[dict[str, Any]], ask: Ask = DEFAULT) -> Drawn:
    """Error against the sampler's steps N with the fitted order of each estimator and its 95 % interval.

    `NoData` where no estimator was measured at two numbers of steps. Table: one line a cell with the error's quartiles
    over rows, and `order`, `order_low`, `order_high` and `order_points` of its estimator's fit.
    """
    found = points.ordered(rows)
    reference, target = points.choose(found, ask)
    kept = [point for point in points.measured(found, reference, target) if point.cell.steps]
    data = points.curves((point.cell, point.cell.steps or 0, point.error) for point in kept)
    if not any(len(curve) > 1 for curve in data.values()):
        raise NoData("no estimator was measured at two numbers of steps")
    dtype, lowest = kept[0].cell.dtype, min(point.error.low for point in kept)
    rounding = EPSILON.get(dtype, 0.0)
    floor = max(ROUNDINGS * rounding, *(point.reading.floor for point in kept))
    orders = {name: _fit(curve, floor) for name, curve in data.items()}
    figure, ((axes,),) = canvas.canvas(ask.title, canvas.DOUBLE, 3.0)
    styles = points.looks(point.cell for point in kept)
    handles = pens.curves(axes, styles, data, {name: f"{name}: {_words(orders[name])}" for name in data})
    for name, order in orders.items():
        if order is not None:
            steps = [n for n, _ in data[name]]
            axes.plot(steps, [order.at(n) for n in steps], color=styles[name].light, linewidth=0.5, zorder=1)
    band, note = pens.floor([axes], points.bound(kept), lowest)
    if lowest <= 100 * rounding:
        handles.append(pens.level(axes, rounding, f"rounding unit of {dtype}: {rounding:.1e}"))
    canvas.log_axis(axes, "y")
    pens.steps_axis(axes, (point.cell.steps for point in kept))
    axes.set_ylabel(columns.error_label(reference, target))
    pens.failures(axes, points.failed(found), styles)
    note = f"Behind each name its order by least squares (thin line) ± its 95 % interval; bars are quartiles. {note}"
    note += points.absent(found, kept)
    canvas.legend(figure, [*handles, *band], note)
    fits = {name: _columns(order) for name, order in orders.items()}
    return figure, pd.DataFrame(
        [columns.identity(p.cell) | columns.error_columns(p, reference, target) | fits[p.cell.estimator] for p in kept]
    )


def _fit(curve: pens.Curve, floor: float) -> Power | None:
    return fit_order([steps for steps, _ in curve], [error.mid for _, error in curve], floor)


def _words(fit: Power | None) -> str:
    if fit is None:
        return "not fitted"
    half = f" ± {fit.high - fit.slope:.2f}" if math.isfinite(fit.high) else ""
    return f"{-fit.slope:.2f}{half}"


def _columns(fit: Power | None) -> dict[str, Any]:
    """The order is minus the slope."""
    values = (None, None, None, 0) if fit is None else (-fit.slope, -fit.high, -fit.low, fit.points)
    return dict(zip(("order", "order_low", "order_high", "order_points"), values, strict=True))
