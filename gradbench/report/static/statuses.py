"""Coverage: what was run on which case, how it ended, and why not."""

from collections import Counter
from typing import Any

import pandas as pd
from matplotlib.patches import Patch, Rectangle

from gradbench.analysis.cells import Cell
from gradbench.analysis.numbers import text
from gradbench.report.coverage import STATUSES, counts, status_of
from gradbench.report.static import canvas, columns, points
from gradbench.report.static.points import DEFAULT, Ask, Drawn, NoData
from gradbench.report.style import rank

COLOURS = {
    "ok": "#bfe3d6",
    "skip": "#ececec",
    "oom": "#f2a65a",
    "timeout": "#f7d08a",
    "diverged": "#d98cb3",
    "error": "#c85a3c",
    "crash": "#a63a2a",
    "lost": "#8c8c8c",
}
OTHER = "#ffffff"


@canvas.themed
def coverage(rows: list[dict[str, Any]], ask: Ask = DEFAULT) -> Drawn:
    """Estimators against cases: each box is shared by the statuses of its rows, with the number that ended well of all.

    `NoData` without rows. Table: one line a (estimator, options, case, sampler, steps, status, reason) with its rows.
    """
    found = points.ordered(rows)
    if not found:
        raise NoData("there are no rows")
    cases = sorted({cell.case for cell in found})
    names = sorted({points.name_of(cell) for cell in found}, key=rank)
    width = canvas.SINGLE if len(cases) < 5 else canvas.DOUBLE
    figure, ((axes,),) = canvas.canvas(ask.title, width, 0.2 * len(names) + 0.032 * max(map(len, cases)) + 0.3)
    boxes: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for cell in found:
        boxes.setdefault((cases.index(cell.case), names.index(points.name_of(cell))), []).extend(cell.rows)
    for (x, y), members in boxes.items():
        _box(axes, x, y, members)
    axes.set_xlim(0, len(cases))
    axes.set_ylim(len(names), 0)
    axes.set_yticks([i + 0.5 for i in range(len(names))], names)
    axes.set_xticks([j + 0.5 for j in range(len(cases))], cases, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    seen = {status for status, _ in counts([row for cell in found for row in cell.rows])}
    handles = [
        Patch(facecolor=COLOURS.get(s, OTHER), edgecolor=canvas.MUTED, linewidth=0.4, label=_words(s))
        for s in (*STATUSES, *sorted(seen - set(STATUSES)))
        if s in seen
    ]
    canvas.legend(figure, handles, "In each box the rows that ended well, of all that were asked; empty was not asked.")
    return figure, pd.DataFrame([line for cell in found for line in _lines(cell)])


def _words(status: str) -> str:
    known = status_of(status)
    return f"{known.letter}  {known.words if status in STATUSES else status}"


def _box(axes: Any, x: int, y: int, rows: list[dict[str, Any]]) -> None:
    """One box, split by status from left to right, with the letter of the gravest failure."""
    found, left = counts(rows), float(x)
    for status, count in found:
        share = count / len(rows)
        colour = COLOURS.get(status, OTHER)
        axes.add_patch(Rectangle((left, y), share, 1, facecolor=colour, edgecolor="white", linewidth=0.4))
        left += share
    fine = dict(found).get("ok", 0)
    bad = [status for status, _ in found if status not in ("ok", "skip")]
    words = str(fine) if fine == len(rows) else f"{fine}/{len(rows)}"
    words = status_of("skip").letter if dict(found).get("skip") == len(rows) else words
    letter = f" {status_of(bad[-1]).letter}" if bad else ""
    axes.text(x + 0.5, y + 0.53, words + letter, ha="center", va="center", fontsize=canvas.SMALL)


def _lines(cell: Cell) -> list[dict[str, Any]]:
    """One line a (status, reason) of the cell."""
    identity = {name: value for name, value in columns.identity(cell).items() if name != "rows"}
    names = ("status", "phase", "reason")
    found = Counter(tuple(text(row.get(name)) for name in names) for row in cell.rows)
    return [identity | dict(zip(names, key, strict=True)) | {"rows": count} for key, count in found.items()]
