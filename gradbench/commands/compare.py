"""The verb `compare`: two sides are read, or two revisions measured, and then compared."""

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import click

from gradbench import checks
from gradbench.bench.load import load_rows
from gradbench.bench.row import Row
from gradbench.bench.selection import Selection
from gradbench.checks import UsageError
from gradbench.command import ranges
from gradbench.commands.options import RUNS, one_of, path, with_selection
from gradbench.compare import ab
from gradbench.compare.baseline import write_baseline
from gradbench.compare.finding import METRICS
from gradbench.compare.text import FORMATS, headline
from gradbench.exits import Exit

REPLICATES = 5  # needed for time; one is enough for everything else
FLAGS = {
    **{"suite": "--suite", "cases": "--case", "estimators": "--estimator", "samplers": "--sampler", "steps": "--steps"},
    **{"targets": "--target", "seeds": "--seeds", "replicates": "--replicates", "device": "--device"},
    **{"dtype": "--dtype", "weights": "--weights"},
}


@click.command()
@click.argument("sides", nargs=-1, type=click.Path(path_type=Path), metavar="BASE NEW")
@click.option("--ab", "revisions", nargs=2, metavar="REV_A REV_B", help="Measure two git revisions alternately.")
@RUNS
@path("--cases", "case_folder", help="With --ab, a folder of cases in either revision.")
@one_of("--metric", *METRICS, also="metrics", multiple=True, called="metric")
@click.option("--factor", default=1.10, show_default=True, metavar="X", help="Ignore slowdowns below it.")
@one_of("--format", *FORMATS, also="form", default="text", called="format")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@path("--out", "out", kind="file", metavar="PATH", help="File for the verdict; with --ab the folder of rows, runs/ab.")
@click.option("--refresh", is_flag=True, help="Then overwrite BASE with NEW as a baseline; exit code 0.")
@with_selection
def compare(
    selection: Selection,
    sides: tuple[Path, ...],
    revisions: tuple[str, str] | None,
    case_folder: str | None,
    metrics: tuple[str, ...],
    factor: float,
    form: str,
    as_json: bool,
    out: str | None,
    refresh: bool,
) -> Exit:
    """Compare two runs, or a run with a baseline, in correctness, accuracy, time and memory.

    BASE and NEW are folders written by `run --out` or files of rows, .jsonl or .parquet. Exit code 1 for a regression,
    4 if nothing can be compared, with --ab 125 if a revision cannot run.
    """
    from gradbench.compare.compare import compare as compared

    chosen = list(metrics) or list(METRICS)
    checks.in_range("factor", factor, 1.0, 10.0)
    words = _words(selection, case_folder)
    try:
        if revisions is None:
            given = [*words, *(["--replicates"] if selection.replicates is not None else [])]
            base, new = _given(sides, given, refresh)
        else:
            usual = REPLICATES if "time" in chosen else 1
            replicates = usual if selection.replicates is None else selection.replicates
            base, new = _measured(sides, revisions, words, replicates, Path(out or "runs/ab"), selection, refresh)
    except ab.CannotRun as reason:
        print(f"gradbench: {reason}", file=sys.stderr)
        return Exit.CANNOT_RUN
    found = compared(base, new, factor, chosen, interleaved=revisions is not None)
    told = FORMATS["json" if as_json else form](found, revisions or (str(sides[0]), str(sides[1])))
    if out and revisions is None:
        with checks.writing("--out", Path(out)):
            Path(out).write_text(told)
        print(f"{headline(found)}\nverdict: {out}")
    else:
        print(told, end="")
    if refresh:
        cells = write_baseline(new, sides[0])
        print(f"{cells} cells written to {sides[0]}: commit it and say why in the message", file=sys.stderr)
        return Exit.OK
    nothing = revisions and found.exit_code is Exit.NOTHING
    return Exit.CANNOT_RUN if nothing else found.exit_code


def _given(sides: Sequence[Path], words: Sequence[str], refresh: bool) -> tuple[list[Row], list[Row]]:
    """The rows of BASE and NEW; a baseline to be written need not exist."""
    if len(sides) != 2:
        raise UsageError(f"compare needs BASE and NEW, or --ab REV_A REV_B; got {len(sides)} paths")
    if words:
        raise UsageError(f"{words[0]} requires --ab, which measures; BASE and NEW are already measured")
    if refresh and sides[0].suffix != ".jsonl":
        raise UsageError(f"--refresh writes a baseline over BASE, a .jsonl file, got {str(sides[0])!r}")
    new = load_rows(sides[1])
    return ([] if refresh and not sides[0].exists() else load_rows(sides[0])), new


def _measured(
    sides: Sequence[Path],
    revisions: tuple[str, str],
    words: Sequence[str],
    replicates: int,
    out: Path,
    selection: Selection,
    refresh: bool,
) -> tuple[list[Row], list[Row]]:
    """The rows of two revisions, measured alternately; `CannotRun` if one of them has none of its own."""
    if sides:
        raise UsageError(f"--ab names both sides: leave out {str(sides[0])!r}")
    if refresh:
        raise UsageError("--refresh takes BASE and NEW, not --ab")
    for steps in selection.steps:  # wrong in every revision, not a revision that cannot run
        checks.positive_integer("steps", steps)
    folders = ab.measure(revisions, words, replicates, out)
    rows = [load_rows(folder) for folder in folders]
    for revision, side in zip(revisions, rows, strict=True):
        if all(row.status == "lost" for row in side):
            reason = side[0].text("reason") if side else "it left no rows"
            raise ab.CannotRun(f"{revision} cannot run: {reason}")
    return rows[0], rows[1]


def _words(selection: Selection, case_folder: str | None) -> list[str]:
    """The selection as words of `gradbench run`, without replicates, which are counted here."""
    words: list[str] = []
    for name in [field.name for field in fields(Selection) if field.name != "replicates"]:
        value = getattr(selection, name)
        if name == "seeds":
            values = [ranges(value)] if value else []
        else:
            values = [value] if isinstance(value, str) else [] if value is None else list(value)
        words += [word for one in values for word in (FLAGS[name], str(one))]
    return words + ([] if case_folder is None else ["--cases", case_folder])
