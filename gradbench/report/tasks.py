"""The sections of tasks on the page: a table of ends, one at equal cost, the progress, and pictures."""

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gradbench.analysis.courses import COSTS, Course, blocks, courses, least
from gradbench.bench.row import Row
from gradbench.report.courses import before, texts, with_interval
from gradbench.report.points import NoData
from gradbench.tasks.names import picture_of

EQUAL_NOTE = (
    "Held-out score, mean over seeds with the half-width of its 95% interval, at the most of each cost that every "
    "estimator spent; linear between the places where the task was scored."
)


class Line(NamedTuple):
    """A line of a table: its name, the estimator whose mark it has, and the numbers."""

    name: str
    estimator: str
    numbers: list[str]


class Section(NamedTuple):
    """A task on the page. before: the scores before the updates. equal: heads and lines of the table at equal cost.

    progress: the address of the figure of held-out scores on the way, or None. pictures: name and address of the
    pictures of the first seed.
    """

    name: str
    before: str | None
    lines: list[Line]
    equal_heads: list[str]
    equal: list[Line]
    progress: str | None
    pictures: list[tuple[str, str]]


def task_sections(rows: Sequence[Row], curves: Path | None) -> list[Section]:
    """A section per task, sampler, number of steps and dtype. curves: the folder of curves and pictures."""
    found = list[Section]()
    for names, block in blocks(courses(rows)).items():
        lines = [Line(course.label, course.cell.estimator, texts(course)) for course in block]
        pictures = [(course.label, shown) for course in block if (shown := _picture(course, curves))]
        found.append(Section(", ".join(names), before(block), lines, *_equal(block), _progress(block), pictures))
    return found


def _equal(block: Sequence[Course]) -> tuple[list[str], list[Line]]:
    """Nothing for fewer than two courses, or if no row tells its course."""
    costs = {cost: most for cost in COSTS if (most := least(block, cost)) is not None}
    told = [course for course in block if course.stops]
    if len(told) < 2:
        return [], []
    heads = [
        f"at {most:,.3g} {COSTS[cost]}" if most < 1000 else f"at {most:,.0f} {COSTS[cost]}"
        for cost, most in costs.items()
    ]
    lines = [
        Line(c.label, c.cell.estimator, [with_interval(c.at(cost, most)) for cost, most in costs.items()]) for c in told
    ]
    return heads, lines


def _progress(block: Sequence[Course]) -> str | None:
    """The figure of this task alone."""
    from gradbench.report.static.progress import progress

    try:
        figure, _ = progress([row for course in block for row in course.cell.rows])
    except NoData:
        return None
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=150, metadata={"Software": None})
    return _address(written.getvalue())


def _picture(course: Course, curves: Path | None) -> str | None:
    """The picture of the first row of a course that has one."""
    if curves is None:
        return None
    for row in course.cell.measured:
        name = f"{row.get('cell_id')}-{row.get('replicate') or 0}"
        file = picture_of(curves / f"{name}.jsonl")
        if re.fullmatch("[0-9a-f]+-[0-9]+", name) and file.is_file():  # rows of others name no other file
            return _address(file.read_bytes())
    return None


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
