"""Cosine and norm ratio against steps: whether a gradient that is off is off in direction or in length."""

from typing import Any

import pandas as pd

from gradbench.analysis.cells import Cell
from gradbench.analysis.numbers import number
from gradbench.analysis.spread import Spread, spread
from gradbench.report.static import canvas, columns, pens, points
from gradbench.report.static.points import DEFAULT, Ask, Drawn, NoData

LEAST = 2.0**-53  # a cosine nearer to 1 is 1 to the last bit of float64


@canvas.themed
def direction(rows: list[dict[str, Any]], ask: Ask = DEFAULT) -> Drawn:
    """1 - cosine, and the ratio of the norms, against steps; `NoData` where no cell has both.

    Table: one line a cell with the medians of `one_minus_cosine` (raised to 2^-53) and `norm_ratio`, and quartiles.
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
        pens.failures(axes, points.failed(every), styles)
    left.set_ylabel(f"1 - cosine between {columns.NAMES[target]}\nand that of {columns.WORDS[reference]}")
    right.set_ylabel(f"norm of {columns.NAMES[target]}\nover that of {columns.WORDS[reference]}")
    right.axhline(1.0, color=canvas.INK, linewidth=0.7, zorder=1)
    canvas.legend(figure, handles, "Exact are 1 - cosine = 0 and a ratio of 1. Bars are quartiles.")
    return figure, pd.DataFrame(
        [
            columns.identity(cell)
            | {"reference": reference, "target": target}
            | columns.spread_columns("one_minus_cosine", turned)
            | columns.spread_columns("norm_ratio", ratio)
            for cell, turned, ratio in found
        ]
    )


def _turned(cell: Cell, reference: str, target: str) -> Spread | None:
    cosines = [number(row.get(f"{reference}_cosine_{target}")) for row in cell.measured]
    return spread(max(1 - cosine, LEAST) for cosine in cosines if cosine is not None)
