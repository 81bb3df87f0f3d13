"""What optimisation makes of each gradient: the held-out score of tasks against the gradient's cosine and its costs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from gradbench.analysis.courses import Course, Mean, courses
from gradbench.bench.row import Row
from gradbench.report import points
from gradbench.report.points import DEFAULT, Ask, NoData
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn
from gradbench.report.static.task_frames import frames

ACROSS = {
    "optimise_cosine": "cosine with the exact gradient",
    "optimise_evaluations": "network evaluations",
    "optimise_s": "seconds",
}


@canvas.themed
def outcomes(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """The held-out score after the updates, mean over seeds with its 95% interval, against cosine, work and time.

    A row of axes per task, sampler and number of steps; the dotted line is the score before the updates. `NoData` if
    no task was optimised. Table: one line per task and estimator, with means and half-widths of intervals.
    """
    found = [course for course in courses(rows) if course.cell.measured]
    if not found:
        raise NoData("no task was optimised")
    note = "Bars are 95% intervals over seeds. Dotted: the score before the first update."
    figure = frames(found, ask, ACROSS, 1.75, _drawn, note)
    return figure, pd.DataFrame([_line(course) for course in found])


def _drawn(axes: Any, block: Sequence[Course], column: str, styles: dict[str, Any]) -> None:
    """The courses of one task against one column."""
    for course in block:
        x, y = course.mean(column), course.mean("last_held_out")
        if x is None or y is None:
            continue
        style = styles[course.cell.estimator]
        pens.bars(axes, style.light, [x.value], [y.value], [_span(y)], False)
        pens.line(axes, style, [x.value], [y.value], course.cell.estimator, **pens.look(style), zorder=2)
    before = block[0].mean("first_held_out")
    if before is not None:
        pens.level(axes, before.value, "before")
    if column != "optimise_cosine":
        canvas.log_axis(axes, "x")


def _span(mean: Mean) -> tuple[float, float]:
    half = mean.half or 0.0
    return mean.value - half, mean.value + half


def _line(course: Course) -> dict[str, Any]:
    columns = ("first_objective", "last_objective", "first_held_out", "last_held_out", *ACROSS)
    columns = (*columns, "optimise_queries", "peak_bytes")
    means = {column: course.mean(column) for column in columns}
    return points.identity(course.cell) | {
        "case": course.task,
        "settings": course.settings,
        "seeds": len(course.cell.measured),
        **{
            name: value
            for column, mean in means.items()
            for name, value in ((column, mean and mean.value), (f"{column}_half", mean and mean.half))
        },
    }
