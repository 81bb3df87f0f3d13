"""Bias and noise of Monte Carlo estimators, and their error for a given amount of work."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradbench.analysis.cells import Group
from gradbench.analysis.labels import broken
from gradbench.analysis.noise import WORK, Split
from gradbench.analysis.rows import is_finite
from gradbench.bench.row import Row
from gradbench.problems.spec import TARGETS
from gradbench.report import model, points
from gradbench.report.points import DEFAULT, Ask, NoData
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn

TOLD_APART = 10  # lines that can be told apart


@canvas.themed
def bias_variance(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """Signed bias with two standard errors, and the root mean squared error against network evaluations.

    The cell with the most steps is drawn per estimator, of at most `TOLD_APART` estimators: those with the smallest
    error at 1000 evaluations. `NoData` if no Monte Carlo estimator was compared with the expected gradient. Table: one
    line per cell, all relative to |g|: `bias` (along g) with `std_error`, `noise` of one draw, `offset` (bias in all
    directions), `nfe` per draw, `measured` (the error after all `draws`), and `bias_share` and `variance_share`, the
    parts of the squared error that 1000 evaluations leave.
    """
    found = points.ordered(rows)
    targets = TARGETS if ask.target is None else (ask.target,)
    splits = {t: model.bias_variance(found, t) for t in targets}
    target = max(splits, key=lambda t: len(splits[t]))
    if not splits[target]:
        raise NoData("no estimator that draws was compared with an expected gradient")
    every = {cell.estimator: (cell, s) for cell, s in splits[target]}  # the last has the most steps
    best = sorted(every, key=lambda name: every[name][1].rmse(WORK))[:TOLD_APART]
    shown = {name: pair for name, pair in every.items() if name in best}
    figure, ((left, right),) = canvas.canvas(
        ask.title, canvas.DOUBLE, 0.9 + 0.2 * max(len(shown), 9), 1, 2, width_ratios=(1, 1.15)
    )
    styles = points.looks(cell for cell, _ in shown.values())
    _biases(left, shown, styles, target)
    _errors(right, shown, styles, target)
    note = "Left: bars are two standard errors. Right: marks are errors that were measured, with all draws of a cell."
    if len(every) > TOLD_APART:
        note += f" The {TOLD_APART} with the smallest error at {WORK:,} evaluations; the table has all {len(every)}."
    canvas.legend(figure, [], note)
    return figure, pd.DataFrame([_line(cell, s, target) for cell, s in splits[target]])


def _biases(axes: Any, shown: dict[str, tuple[Group, Split]], styles: dict[str, Any], target: str) -> None:
    for place, (name, (_, s)) in enumerate(shown.items()):
        pens.bars(axes, styles[name].light, [s.bias], [place], [(s.bias - s.margin, s.bias + s.margin)], True)
        pens.line(axes, styles[name], [s.bias], [place], name, **pens.look(styles[name]))
    axes.axvline(0.0, color=canvas.INK, linewidth=0.7, zorder=1)
    axes.set_yticks(range(len(shown)), [broken(name, 30) for name in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xscale("symlog", linthresh=0.1, linscale=1.0)
    largest = max(abs(s.bias) + s.margin for _, s in shown.values())
    axes.set_xticks(*_ticks(largest))
    axes.set_xlim(-1.6 * max(largest, 0.1), 1.6 * max(largest, 0.1))
    axes.set_xlabel(f"bias of {points.GRADIENTS[target]} along the\nexpected gradient, relative to it")


def _ticks(largest: float) -> tuple[list[float], list[str]]:
    """Ticks of the bias: 0, 0.1 and powers of ten, both signs."""
    up = [value for value in (0.1, 1.0, 10.0, 100.0, 1e3, 1e4) if value <= max(1.05 * largest, 0.1)]
    ticks = [*(-value for value in reversed(up)), 0.0, *up]
    return ticks, [f"{value:g}" for value in ticks]


def _errors(axes: Any, shown: dict[str, tuple[Group, Split]], styles: dict[str, Any], target: str) -> None:
    most = max(s.nfe * s.draws for _, s in shown.values())
    measured = [(s.nfe * s.draws, cell.median(f"expected_error_{target}") or 0.0) for cell, s in shown.values()]
    above = pens.stacked([point] for point in measured)
    for (name, (_, s)), (work, error), under in zip(shown.items(), measured, above, strict=True):
        spent = np.geomspace(s.nfe, max(most, 2 * s.nfe), 60)
        kept = {**pens.look(styles[name]), "marker": ""}
        axes.plot(spent, [s.rmse(w) for w in spent], **kept, zorder=1)
        if error > 0 and is_finite(error):
            pens.line(axes, styles[name], [work], [error], name, **pens.look(styles[name], under), zorder=2)
    axes.set_xlabel("network evaluations (NFE), all draws")
    axes.set_ylabel(f"root mean squared error of {points.GRADIENTS[target]}\nagainst the expected gradient, relative")
    canvas.log_axis(axes, "x")
    canvas.log_axis(axes, "y")


def _line(cell: Group, s: Split, target: str) -> dict[str, Any]:
    return points.identity(cell) | {
        "target": target,
        **{name: getattr(s, name) for name in ("bias", "std_error", "noise", "offset", "nfe", "draws")},
        "measured": cell.median(f"expected_error_{target}"),
        "bias_share": s.offset**2,
        "variance_share": s.rmse(WORK) ** 2 - s.offset**2,
    }
