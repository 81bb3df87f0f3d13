"""Coverage: what was run on which case, how it ended, and why not."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.patches import Patch, Rectangle

from gradbench.analysis.cells import Group
from gradbench.analysis.rows import text
from gradbench.bench.columns import FINE
from gradbench.bench.row import Row
from gradbench.report import points
from gradbench.report.coverage import STATUSES, Counts, boxes, status_of
from gradbench.report.points import DEFAULT, Ask, NoData
from gradbench.report.static import canvas
from gradbench.report.static.canvas import Drawn
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
def coverage(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """Estimators against cases: each box is split by the statuses of its rows, with how many of all ended well.

    `NoData` without rows. Table: one line per (estimator, options, case, sampler, steps, status, reason) with its rows.
    """
    found = points.ordered(rows)
    if not found:
        raise NoData("there are no rows")
    cases = sorted({cell.case for cell in found})
    names = sorted({cell.name for cell in found}, key=rank)
    width = canvas.SINGLE if len(cases) < 5 else canvas.DOUBLE
    figure, ((axes,),) = canvas.canvas(ask.title, width, 0.2 * len(names) + 0.032 * max(map(len, cases)) + 0.3)
    shared = boxes(found, lambda cell: cell.name)
    for (name, case), counts in shared.items():
        _box(axes, cases.index(case), names.index(name), counts)
    axes.set_xlim(0, len(cases))
    axes.set_ylim(len(names), 0)
    axes.set_yticks([i + 0.5 for i in range(len(names))], names)
    axes.set_xticks([j + 0.5 for j in range(len(cases))], cases, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    seen = {status for counts in shared.values() for status, _ in counts}
    handles = [
        Patch(facecolor=COLOURS.get(s, OTHER), edgecolor=canvas.MUTED, linewidth=0.4, label=_words(s))
        for s in (*STATUSES, *sorted(seen - set(STATUSES)))
        if s in seen
    ]
    canvas.legend(
        figure,
        handles,
        "Each box: the rows that succeeded, of all that were requested; empty boxes were not requested.",
    )
    return figure, pd.DataFrame([line for cell in found for line in _lines(cell)])


def _words(status: str) -> str:
    known = status_of(status)
    return f"{known.letter}  {known.words if status in STATUSES else status}"


def _box(axes: Any, x: int, y: int, counts: Counts) -> None:
    """One box, split by status from left to right, with the letter of the gravest failure."""
    found, left = dict(counts), float(x)
    total, fine = sum(found.values()), found.get("ok", 0)
    for status, count in counts:
        colour = COLOURS.get(status, OTHER)
        axes.add_patch(Rectangle((left, y), count / total, 1, facecolor=colour, edgecolor="white", linewidth=0.4))
        left += count / total
    bad = [status for status in found if status not in FINE]
    words = str(fine) if fine == total else f"{fine}/{total}"
    words = status_of("skip").letter if found.get("skip") == total else words
    letter = f" {status_of(bad[-1]).letter}" if bad else ""
    axes.text(x + 0.5, y + 0.53, words + letter, ha="center", va="center", fontsize=canvas.SMALL)


def _lines(cell: Group) -> list[dict[str, Any]]:
    """One line per (status, reason) of the cell."""
    identity = {name: value for name, value in points.identity(cell).items() if name != "rows"}
    names = ("status", "phase", "reason")
    found = Counter(tuple(text(row.get(name)) for name in names) for row in cell.rows)
    return [identity | dict(zip(names, key, strict=True)) | {"rows": count} for key, count in found.items()]
