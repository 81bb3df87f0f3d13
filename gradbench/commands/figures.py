"""The verb `figures`: which rows, which figures, where to, and what it says."""

import json
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.analysis.cells import REFERENCES, TARGETS
from gradbench.analysis.label import params_of, whole_params
from gradbench.bench.load import load_rows
from gradbench.bench.progress import Doing
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.report.static.canvas import FORMATS
from gradbench.report.static.catalogue import KINDS
from gradbench.report.static.points import Ask
from gradbench.report.static.write import Written, write_figures
from gradbench.selector import expand, render

OK, NOTHING = 0, 4


def figures_command(options: dict[str, Any]) -> int:
    """Draws what is asked and says a line a figure; exit code 4 where there are no data for any."""
    formats = [checks.one_of("--format", name.strip(), FORMATS) for name in options["formats"].split(",")]
    only = [checks.one_of("figure", name, KINDS) for name in options["only"]]
    for name, allowed in (("reference", REFERENCES), ("target", TARGETS)):
        if options[name] is not None:
            checks.one_of(name, options[name], allowed)
    if options["max_error"] is not None:
        checks.positive("--max-error", options["max_error"])
    rows = load_rows(options["rows"], strict=False)
    for column in ("case", "sampler"):
        rows = _chosen(rows, column, options[f"{column}s"])
    if options["estimators"] != ("all",):
        rows = _of(rows, options["estimators"])
    source: Path = options["rows"]
    out = options["out"] or (source if source.is_dir() else source.parent) / "figures"
    ask = Ask(options["reference"], options["target"], options["max_error"])
    found = []
    with Doing("figures") as doing:
        for done in write_figures(rows, out, formats, only, ask, options["every"]):
            found.append(done)
            doing.at(f"{done.figure} is done")
            if not options["as_json"]:
                print(_line(done), flush=True)
    if options["as_json"]:
        print(json.dumps([vars(done) | {"files": [str(file) for file in done.files]} for done in found], indent=2))
    return OK if any(done.files for done in found) else NOTHING


def _chosen(rows: list[dict[str, Any]], column: str, selectors: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows whose case or sampler has one of the names and, where a selector gives them, its options; or all.

    `ValueError` for a name that no row has, and for options that none of that name has.
    """
    known = sorted({str(row.get(column)) for row in rows})
    chosen: set[int] = set()
    for name, given in (choice for selector in selectors for choice in expand(selector)):
        checks.one_of(f"{column} of these rows", name, known)
        found = {
            place
            for place, row in enumerate(rows)
            if row.get(column) == name and given.items() <= params_of(row, column).items()
        }
        if not found:
            raise ValueError(f"no row of {render(name, given)!r} among these rows")
        chosen |= found
    return [rows[place] for place in sorted(chosen)] if selectors else rows


def _of(rows: list[dict[str, Any]], selectors: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of the estimators selected, or all; options that a selector or an old row lacks are the defaults."""
    chosen: set[int] = set()
    for name, given in (choice for selector in selectors for choice in expand(selector)):
        entry = ESTIMATORS.find(name)
        wanted = (name, entry.options(given))
        found = {
            place
            for place, row in enumerate(rows)
            if (row.get("estimator"), whole_params(row, "estimator", entry.defaults)) == wanted
        }
        if not found:
            raise ValueError(f"no row of {render(name, given)!r} among these rows")
        chosen |= found
    return [rows[place] for place in sorted(chosen)] if selectors else rows


def _line(done: Written) -> str:
    if not done.files:
        return f"{done.figure}: not drawn: {done.reason}"
    first, *others = done.files
    title = f" of {done.title}" if done.title else ""
    return f"{done.figure}{title}: {first}" + "".join(f", {file.suffix}" for file in others)
