"""Writes figures of rows to files: PDF, SVG and PNG, with the table as CSV beside them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gradbench import checks
from gradbench.analysis.panel import Panel, panels
from gradbench.bench.row import Row
from gradbench.report.coverage import random_weights
from gradbench.report.points import DEFAULT, Ask, NoData
from gradbench.report.static.canvas import save
from gradbench.report.static.catalogue import FIGURES, FORMATS, Drawing


@dataclass(frozen=True)
class Written:
    """A figure that was written or, without files, why it was not."""

    figure: str
    title: str
    files: list[Path] = field(default_factory=list)
    reason: str = ""


def write_figures(
    rows: Sequence[Row],
    out: Path,
    formats: Sequence[str] = FORMATS,
    only: Sequence[str] = (),
    ask: Ask = DEFAULT,
    every: bool = False,
) -> Iterator[Written]:
    """Draws the named figures, or all, and yields each; one without data comes with the reason.

    A figure of one case and sampler is drawn once per case, from the panel with most rows that has data, and named
    FIGURE-CASE; with `every` once per panel, named by its title too.
    """
    with checks.writing("out", out):
        out.mkdir(parents=True, exist_ok=True)
    for name in only or FIGURES:
        drawing = FIGURES[name]
        groups = _groups(rows, drawing, every)
        reasons: dict[str, None] = {}
        for group in groups:
            done = _first(group, drawing, ask, formats, out, every)
            if done.files:
                yield done
            reasons[done.reason] = None
        if "" not in reasons:
            yield Written(name, "", reason="; ".join(reasons) or "there are no rows")


def _groups(rows: Sequence[Row], drawing: Drawing, every: bool) -> list[list[Panel]]:
    """Groups of panels, one of each group to be drawn."""
    if drawing.pooled is None:
        return [[Panel("", "", rows)]] if rows else []
    found = sorted(panels(rows, drawing.pooled), key=lambda panel: -len(panel.rows))
    if every:
        return [[panel] for panel in found]
    cases = dict.fromkeys(str(row.get("case")) for row in rows)
    return [[panel for panel in found if panel.case == case] for case in cases]


def _first(group: list[Panel], drawing: Drawing, ask: Ask, formats: Sequence[str], out: Path, every: bool) -> Written:
    """Writes the first panel of a group that has data."""
    reasons: dict[str, None] = {}
    for panel in group:
        title = panel.title
        if title and random_weights(panel.rows) and not panel.rows[0].get("weights"):
            title += ", random weights"
        try:
            figure, table = drawing.load()(panel.rows, replace(ask, title=title))
        except NoData as reason:
            reasons[str(reason)] = None
            continue
        stem = out / "-".join(filter(None, (drawing.name, _slug(title if every else panel.case))))
        with checks.writing("out", out):
            files = save(figure, stem, formats)
            files.append(stem.with_name(f"{stem.name}.csv"))
            table.to_csv(files[-1], index=False, lineterminator="\n")
        return Written(drawing.name, title, files)
    return Written(drawing.name, "", reason="; ".join(reasons))


def _slug(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+]+", "-", title).strip("-").lower()
