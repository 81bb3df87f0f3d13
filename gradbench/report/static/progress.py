"""The progress of tasks: the held-out score on the way, against each cost of the updates."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from gradbench.analysis.courses import COSTS, Course, Stop, blocks, courses, least
from gradbench.bench.row import Row
from gradbench.report import points
from gradbench.report.points import DEFAULT, Ask, NoData
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn
from gradbench.report.static.task_frames import frames
from gradbench.report.style import Style


@canvas.themed
def progress(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """The held-out score of tasks on the way, mean over seeds with its 95% interval, against what was spent.

    A row of axes per task, sampler and number of steps; dotted, the score before the updates; dashed, the most that
    every estimator spent: left of it all can be compared. `NoData` if no row has a course. Table: one line per
    estimator and place, with means and half-widths of intervals, and the score at that equal cost.
    """
    found = [course for course in courses(rows) if course.cell.measured and course.stops]
    if not found:
        raise NoData("no row tells the course of a task")
    note = (
        "Bars are 95% intervals over seeds. Dotted: the score before the first update. Dashed: the most that every "
        "estimator spent."
    )
    figure = frames(found, ask, COSTS, 2.0, _drawn, note, sharey="row")
    return figure, pd.DataFrame(
        [line for block in blocks(found).values() for course in block for line in _lines(course, block)]
    )


def _drawn(axes: Any, block: Sequence[Course], cost: str, styles: dict[str, Style]) -> None:
    """The courses of one task against one cost."""
    for course in block:
        style, stops = styles[course.cell.estimator], course.stops[1:]
        x, y = [getattr(stop, cost).value for stop in stops], [stop.held_out.value for stop in stops]
        spans = [
            (at - (stop.held_out.half or 0.0), at + (stop.held_out.half or 0.0))
            for at, stop in zip(y, stops, strict=True)
        ]
        pens.bars(axes, style.light, x, y, spans, False)
        pens.line(axes, style, x, y, course.cell.estimator, **pens.look(style, 2), zorder=2)
    pens.level(axes, block[0].stops[0].held_out.value, "before")
    canvas.log_axis(axes, "x")
    if (most := least(block, cost)) is not None and len(block) > 1:
        axes.axvline(most, color=canvas.MUTED, linewidth=0.7, linestyle="--", zorder=1)


def _lines(course: Course, block: Sequence[Course]) -> list[dict[str, Any]]:
    told = points.identity(course.cell) | {"case": course.task, "settings": course.settings}
    equal = dict[str, Any]()
    for cost in COSTS:
        most = least(block, cost)
        found = None if most is None else course.at(cost, most)
        equal |= {f"equal_{cost}": most, f"held_out_at_equal_{cost}": found and found.value}
        equal[f"held_out_at_equal_{cost}_half"] = found and found.half
    return [told | {"update": stop.update, **_means(stop), **equal} for stop in course.stops]


def _means(stop: Stop) -> dict[str, float | None]:
    named = {name: getattr(stop, name) for name in (*COSTS, "objective", "held_out", "cosine")}
    return {
        key: value
        for name, mean in named.items()
        for key, value in ((name, mean and mean.value), (f"{name}_half", mean and mean.half))
    }
