"""The verb `figures`: which rows, which figures, where to, and what it prints."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradbench import checks
from gradbench.analysis.rows import params_of, whole_params
from gradbench.bench.load import load_rows
from gradbench.bench.progress import Doing
from gradbench.bench.row import Row
from gradbench.checks import UsageError
from gradbench.commands.completing import listed
from gradbench.commands.completing import names as names_of
from gradbench.commands.options import Parsed, json_option, one_of, selector
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.exits import Exit
from gradbench.problems.spec import REFERENCES, TARGETS
from gradbench.report.static.catalogue import FIGURES, FORMATS
from gradbench.selector import expand, render

if TYPE_CHECKING:
    from gradbench.report.static.write import Written


def _formats(text: str, option: str) -> list[str]:
    return [checks.one_of(option, name.strip(), FORMATS) for name in text.split(",")]


@click.command()
@click.argument("source", default="runs/latest", metavar="[FOLDER|ROWS.PARQUET]", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Output folder, by default FOLDER/figures.")
@click.option(
    *("--format", "formats"),
    type=Parsed(_formats),
    default=",".join(FORMATS),
    show_default=True,
    metavar="LIST",
    shell_complete=listed(*FORMATS),
    help=f"One or more of {', '.join(FORMATS)}.",
)
@one_of("--only", *FIGURES, multiple=True, help="Only this figure; repeatable.", called="figure")
@click.option(
    "-c", "--case", "cases", multiple=True, metavar="NAME", help="Repeatable.", shell_complete=names_of("cases")
)
@click.option("--sampler", "samplers", multiple=True, metavar="NAME", shell_complete=names_of("samplers"))
@selector("-e", "--estimator", "estimators", help="adjoint-dpm[rule=rk4]; repeatable.")
@one_of("--target", *TARGETS, called="target")
@one_of("--reference", *REFERENCES, called="reference")
@click.option("--max-error", type=float, metavar="E", help="Error at which profiles compare.")
@click.option("--all", "every", is_flag=True, help="Every case with every sampler, not the most measured per case.")
@json_option
def figures(
    source: Path,
    out: Path | None,
    formats: list[str],
    only: tuple[str, ...],
    cases: tuple[str, ...],
    samplers: tuple[str, ...],
    estimators: tuple[str, ...],
    target: str | None,
    reference: str | None,
    max_error: float | None,
    every: bool,
    as_json: bool,
) -> Exit:
    """Draw the figures of rows for print: PDF, SVG, PNG, and a CSV for each."""
    from gradbench.report.points import Ask
    from gradbench.report.static.write import write_figures

    if max_error is not None:
        checks.positive("--max-error", max_error)
    rows = load_rows(source, strict=False)
    rows = _chosen(_chosen(rows, "case", cases), "sampler", samplers)
    if estimators != ("all",):
        rows = _of(rows, estimators)
    place = out or (source if source.is_dir() else source.parent) / "figures"
    found = []
    with Doing("figures") as doing:
        for done in write_figures(rows, place, formats, only, Ask(reference, target, max_error), every):
            found.append(done)
            doing.at(f"{done.figure} is done")
            if not as_json:
                print(_line(done), flush=True)
    if as_json:
        print(json.dumps([vars(done) | {"files": [str(file) for file in done.files]} for done in found], indent=2))
    return Exit.OK if any(done.files for done in found) else Exit.NOTHING


def _chosen(rows: Sequence[Row], column: str, selectors: tuple[str, ...]) -> Sequence[Row]:
    """The rows whose case or sampler has one of the names and, if selectors give any, its options; or all.

    `ValueError` for a name in no row, and for options that no row of that name has.
    """
    known = sorted({str(row.get(column)) for row in rows})
    chosen: set[int] = set()
    for name, given in (choice for text in selectors for choice in expand(text)):
        checks.one_of(f"{column} of these rows", name, known)
        found = {
            place
            for place, row in enumerate(rows)
            if row.get(column) == name and given.items() <= params_of(row, column).items()
        }
        if not found:
            raise UsageError(f"no row of {render(name, given)!r} among these rows")
        chosen |= found
    return [rows[place] for place in sorted(chosen)] if selectors else rows


def _of(rows: Sequence[Row], selectors: tuple[str, ...]) -> Sequence[Row]:
    """The rows of the selected estimators, or all; options missing in a selector or an old row take the defaults."""
    chosen: set[int] = set()
    for name, given in (choice for text in selectors for choice in expand(text)):
        entry = ESTIMATORS.find(name)
        wanted = (name, entry.options(given))
        found = {
            place
            for place, row in enumerate(rows)
            if (row.get("estimator"), whole_params(row, "estimator", entry.defaults)) == wanted
        }
        if not found:
            raise UsageError(f"no row of {render(name, given)!r} among these rows")
        chosen |= found
    return [rows[place] for place in sorted(chosen)] if selectors else rows


def _line(done: "Written") -> str:
    if not done.files:
        return f"{done.figure}: not drawn: {done.reason}"
    first, *others = done.files
    title = f" of {done.title}" if done.title else ""
    return f"{done.figure}{title}: {first}" + "".join(f", {file.suffix}" for file in others)
