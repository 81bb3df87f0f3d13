"""`write_report`: rows in, one self-contained page out."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from gradbench.analysis import units
from gradbench.analysis.cells import Cell, cells
from gradbench.analysis.label import params_of
from gradbench.analysis.numbers import text
from gradbench.analysis.standings import settings, verdicts
from gradbench.analysis.summary import answer, outcome
from gradbench.analysis.table import COLUMNS
from gradbench.analysis.winners import precision, winners
from gradbench.report import coverage, figures, ranking, style
from gradbench.report.environment import environment, random_weights
from gradbench.report.payload import columns, packed

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("data", "words", "figures", "draw", "tables", "page")
"""Parts of the page's own script, in their order; they share one scope."""
LONGEST = 400
"""Lines of a table that stands in the page as it is; the table of all cells has the others."""


def write_report(rows: list[dict[str, Any]], path: Path, *, command: str = "") -> Path:
    """Write the report of `rows` to `path` and return it.

    rows: dicts with the columns of a run, any of them missing or None. command: the command line that made them.
    The page asks no network: scripts, styles and data are inside it, and its content security policy forbids the rest.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {name: getattr(units, name) for name in ("seconds", "mebibytes", "share", "times")}
    environment.filters |= {"prose": _prose, "label": _label}
    page = environment.get_template("report.html.j2").render(context(rows, command))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8", errors="replace", newline="\n")
    return path


def context(rows: list[dict[str, Any]], command: str = "") -> dict[str, Any]:
    """Everything that the template names."""
    found = cells(rows)
    judged = verdicts(settings(found))
    said = answer(found, judged)
    styles = _styles(found)
    cases = sorted({cell.case for cell in found})
    points = figures.points(found)
    parts = "\n".join((TEMPLATES / "script" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    library = (TEMPLATES / "plotly-basic.min.js").read_text(encoding="utf-8")
    scripts = [f'"use strict";\n(() => {{\n{parts}\n}})();\n', library]
    data = {
        "points": columns([_sent(point) for point in points]),
        "panels": figures.panels(points),
        "filters": figures.FILTERS,
        "columns": (*COLUMNS, "targets", "dtype", "device", "machine_class", "n", "n_ok"),
        "styles": {name: vars(chosen) for name, chosen in styles.items()},
        "cases": cases,
    }
    return {
        "rows": rows,
        "command": command,
        "answer": said,
        "outcome": outcome(rows),
        "named": _named(found, judged, said.reference),
        "rankings": {k: ranking.ranking(judged, k) for k in _told(judged, said.reference)},
        "targets_of": lambda reference: ranking.targets(judged, reference),
        "environment": environment(rows),
        "random_weights": random_weights(rows),
        "counts": coverage.counts(rows),
        "status_of": coverage.status_of,
        "statuses": coverage.STATUSES,
        "cases": cases,
        "matrix": coverage.matrix(found, list(styles), cases),
        "failures": coverage.failures(found),
        "winners": winners(found),
        "longest": LONGEST,
        "precision": precision,
        "styles": styles,
        "markers": style.MARKERS,
        "css": (TEMPLATES / "report.css").read_text(encoding="utf-8"),
        "scripts": scripts,
        "hashes": [_digest(script) for script in scripts],
        "data": packed(data),
    }


def _sent(point: figures.Point) -> figures.Point:
    """A point without what the page can tell from the rest: a shown error is the error itself, or its floor."""
    errors = {key: {k: v for k, v in error.items() if k != "shown"} for key, error in point["errors"].items()}
    return point | {"errors": errors}


def _told(judged: list, first: str | None) -> list[str]:
    """The references that have verdicts, that of the answer first."""
    return sorted({v.reference for v in judged}, key=lambda reference: (reference != first, reference))


def _named(found: list[Cell], judged: list, reference: str | None) -> list[tuple[str, str]]:
    """The estimators that the answer recommends, and what the catalogue says they do."""
    labels = dict.fromkeys(s.estimator for v in judged if v.reference == reference for s in v.accurate)
    names = {cell.estimator: text(cell.rows[0].get("estimator")) for cell in found}
    return [(label, meaning) for label in labels if (meaning := ranking.meaning(names[label]))]


def _prose(sentence: str) -> Any:
    """A sentence with what stands in backticks as code, and everything escaped."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(sentence))))


def _label(name: str) -> Any:
    """A label, escaped, that may break after its brackets and commas."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([\[,])", r"\1<wbr>", str(escape(name))))


def _styles(found: list[Cell]) -> dict[str, style.Style]:
    """The style of every label, in the order of a legend."""
    first = {cell.estimator: cell.rows[0] for cell in found}
    names = {label: text(row.get("estimator")) for label, row in first.items()}
    order = sorted(names, key=lambda label: (style.rank(names[label]), label))
    return {label: style.style_for(names[label], params_of(first[label], "estimator")) for label in order}


def _digest(script: str) -> str:
    """The digest by which the content security policy lets a script run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
