"""`write_report`: rows in, one self-contained page out."""

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.analysis import words
from gradbench.analysis.answer import answer, outcome
from gradbench.analysis.cells import Group, cells
from gradbench.analysis.courses import is_task
from gradbench.analysis.rankings import ranking, winners
from gradbench.analysis.standings import Contest, contests, settings
from gradbench.bench.row import Row
from gradbench.data import Json
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.report import coverage
from gradbench.report.courses import HEADS, NOTE
from gradbench.report.payload import packed, page_data
from gradbench.report.points import looks
from gradbench.report.style import MARKERS
from gradbench.report.tasks import EQUAL_NOTE, task_sections

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("data", "words", "figures", "draw", "tables", "page")
"""Parts of the page's own script, in their order; they share one scope."""
LONGEST = 400
"""Lines of a table written into the page; the table of all cells has the others."""


def write_report(rows: Sequence[Row], path: Path, *, command: str = "", curves: Path | None = None) -> Path:
    """Write the report of `rows` to `path` and return it.

    rows: mappings with the columns of a run, any of them missing or None. command: the command line that made them.
    curves: the folder of the tasks' curves and pictures. The page uses no network: scripts, styles and data are inside
    it, and its content security policy forbids the rest.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update({name: getattr(words, name) for name in ("seconds", "mebibytes", "share", "times")})
    environment.filters.update({"prose": _prose, "label": _label})
    page = environment.get_template("report.html.j2").render(context(rows, command, curves))
    path = Path(path)
    with checks.writing("path", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8", errors="replace", newline="\n")
    return path


def context(rows: Sequence[Row], command: str = "", curves: Path | None = None) -> Json:
    """Everything that the template names."""
    every, found = cells(rows), cells([row for row in rows if not is_task(row)])
    held = contests(settings(found))
    said = answer(found, held)
    styles = looks(every)
    cases = sorted({cell.case for cell in every})
    boxes = coverage.boxes(every, lambda cell: cell.estimator)
    parts = "\n".join((TEMPLATES / "script" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    library = (TEMPLATES / "plotly-basic.min.js").read_text(encoding="utf-8")
    scripts = [f'"use strict";\n(() => {{\n{parts}\n}})();\n', library]
    return {
        "rows": rows,
        "command": command,
        "answer": said,
        "outcome": outcome(rows),
        "named": _named(found, held, said.reference),
        "rankings": {k: ranking(held, k) for k in _told(held, said.reference)},
        "targets_of": lambda reference: [contest.target for contest in held if contest.reference == reference],
        "environment": coverage.environment(rows),
        "random_weights": coverage.random_weights(rows),
        "counts": coverage.counts(rows),
        "status_of": coverage.status_of,
        "statuses": coverage.STATUSES,
        "cases": cases,
        "matrix": [(name, [boxes.get((name, case), []) for case in cases]) for name in styles],
        "failures": coverage.failures(every),
        "tasks": task_sections(rows, curves),
        "task_heads": HEADS,
        "task_note": NOTE,
        "equal_note": EQUAL_NOTE,
        "gradients": bool(found) or not every,
        "winners": winners(found),
        "longest": LONGEST,
        "styles": styles,
        "markers": MARKERS,
        "css": (TEMPLATES / "report.css").read_text(encoding="utf-8"),
        "scripts": scripts,
        "hashes": [_digest(script) for script in scripts],
        "data": packed(page_data(found)),
    }


def _told(held: Sequence[Contest], first: str | None) -> list[str]:
    """The references that have contests, the answer's first."""
    return sorted({contest.reference for contest in held}, key=lambda reference: (reference != first, reference))


def _named(found: Sequence[Group], held: Sequence[Contest], reference: str | None) -> list[tuple[str, str]]:
    """The estimators that the answer recommends, and what the catalogue says they do, where it knows them."""
    labels = dict.fromkeys(s.estimator for c in held if c.reference == reference for s in c.accurate)
    names = {cell.estimator: cell.name for cell in found}
    return [(label, ESTIMATORS[names[label]].summary) for label in labels if names[label] in ESTIMATORS]


def _prose(sentence: str) -> Any:
    """A sentence with text in backticks as code, and everything escaped."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(sentence))))


def _label(name: str) -> Any:
    """An escaped label that may break after brackets and commas."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([\[,])", r"\1<wbr>", str(escape(name))))


def _digest(script: str) -> str:
    """The digest by which the content security policy lets a script run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
