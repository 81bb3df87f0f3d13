"""The frames that figures of tasks share: a row of axes for each task, a column for each quantity across."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradbench.analysis.courses import Course, blocks
from gradbench.report import points
from gradbench.report.points import Ask
from gradbench.report.static import canvas
from gradbench.report.style import Style

Draw = Callable[[Any, Sequence[Course], str, dict[str, Style]], None]  # (axes, courses of a task, quantity, looks)


def frames(
    found: Sequence[Course], ask: Ask, across: Mapping[str, str], height: float, draw: Draw, note: str, **options: Any
) -> Any:
    """The figure. across: what stands below the axes of each quantity. height: of a row, in inches."""
    tasks = blocks(found)
    styles = points.looks(course.cell for course in found)
    figure, axes = canvas.canvas(ask.title, canvas.DOUBLE, height * len(tasks), len(tasks), len(across), **options)
    for line, (names, block) in zip(axes, tasks.items(), strict=True):
        for place, quantity in zip(line, across, strict=True):
            draw(place, block, quantity, styles)
        line[0].set_ylabel("held-out score")
        line[0].set_title(", ".join(names[:3]), loc="left")
    for place, words in zip(axes[-1], across.values(), strict=True):
        place.set_xlabel(words)
    lines = {artist.get_label(): artist for place in axes.flat for artist in place.lines}
    canvas.legend(figure, [lines[name] for name in styles if name in lines], note)
    return figure
