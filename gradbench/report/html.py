"""`write_report`: rows in, one self-contained page out."""

import base64
import hashlib
import json
import math
from pathlib import Path
from typing import Any

from gradbench.analysis import units
from gradbench.analysis.cells import Cell, cells
from gradbench.analysis.numbers import text
from gradbench.analysis.summary import answer, precision
from gradbench.analysis.table import COLUMNS
from gradbench.analysis.winners import winners
from gradbench.report import coverage, figures, style
from gradbench.report.environment import environment, random_weights

TEMPLATES = Path(__file__).parent / "templates"


def write_report(rows: list[dict[str, Any]], path: Path, *, command: str = "") -> Path:
    """Write the report of `rows` to `path` and return it.

    rows: dicts with the columns of a run, any of them missing or None. command: the command line that made them.
    The page asks no network: scripts, styles and data are inside it, and its content security policy forbids the rest.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"seconds": units.seconds, "mebibytes": units.mebibytes}
    page = environment.get_template("report.html.j2").render(context(rows, command))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8", errors="replace", newline="\n")
    return path


def context(rows: list[dict[str, Any]], command: str = "") -> dict[str, Any]:
    """Everything that the template names."""
    found = cells(rows)
    styles = _styles(found)
    cases = sorted({cell.case for cell in found})
    scripts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in ("plotly-basic.min.js", "report.js")]
    points = figures.points(found)
    data = {
        "points": points,
        "panels": figures.panels(points),
        "filters": figures.FILTERS,
        "columns": (*COLUMNS, "targets", "dtype", "device", "machine_class", "n", "n_ok"),
        "styles": {name: vars(chosen) for name, chosen in styles.items()},
        "random": sorted({cell.case for cell in found if random_weights(list(cell.rows))}),
    }
    return {
        "rows": rows,
        "command": command,
        "answer": answer(rows),
        "environment": environment(rows),
        "random_weights": random_weights(rows),
        "counts": coverage.counts(rows),
        "status_of": coverage.status_of,
        "statuses": coverage.STATUSES,
        "cases": cases,
        "matrix": coverage.matrix(found, list(styles), cases),
        "failures": coverage.failures(found),
        "winners": winners(rows),
        "precision": precision,
        "styles": styles,
        "markers": style.MARKERS,
        "dashes": style.DASHES,
        "css": (TEMPLATES / "report.css").read_text(encoding="utf-8"),
        "scripts": scripts,
        "hashes": [_digest(script) for script in scripts],
        "data": _embedded(data),
    }


def _styles(found: list[Cell]) -> dict[str, style.Style]:
    """The style of every label, in the order of a legend; the labels of one estimator are its variants."""
    names = {cell.estimator: text(cell.rows[0].get("estimator")) for cell in found}
    variants: dict[str, int] = {}
    styles = {}
    for label in sorted(names, key=lambda label: (style.rank(names[label]), label)):
        variant = variants.get(names[label], 0)
        variants[names[label]] = variant + 1
        styles[label] = style.style_of(names[label], variant)
    return styles


def _embedded(data: Any) -> str:
    """JSON that no HTML parser can read as markup."""
    return json.dumps(_plain(data), allow_nan=False, separators=(",", ":"), default=str).replace("<", "\\u003c")


def _plain(value: Any) -> Any:
    """`value` with what JSON has no numbers for as text: "inf"."""
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _digest(script: str) -> str:
    """The digest by which the content security policy lets a script run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
