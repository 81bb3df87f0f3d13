"""What `gradbench compare` does: two sides are read, or two revisions measured; then they are compared and told."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.bench.load import load_rows
from gradbench.bench.selection import parse_seeds
from gradbench.compare import ab
from gradbench.compare.baseline import write_baseline

FINE, NOTHING, CANNOT_RUN = 0, 4, 125
REPLICATES = 5  # that time needs; one is enough for all else
SELECTION = {
    **{"suite": "--suite", "cases": "--case", "estimators": "--estimator", "samplers": "--sampler", "steps": "--steps"},
    **{"targets": "--target", "seeds": "--seeds", "replicates": "--replicates", "device": "--device"},
    **{"dtype": "--dtype", "case_folder": "--cases"},
}


def compare_command(sides: Sequence[Path], options: dict[str, Any]) -> int:
    """Tells what NEW does otherwise than BASE; returns the exit code."""
    from gradbench.compare.compare import compare
    from gradbench.compare.finding import METRICS
    from gradbench.compare.text import FORMATS, headline

    metrics = [checks.one_of("metric", name, METRICS) for name in options["metrics"]] or list(METRICS)
    form = FORMATS["json" if options["as_json"] else checks.one_of("format", options["format"], FORMATS)]
    factor = checks.in_range("factor", options["factor"], 1.0, 10.0)
    revisions, out = options["ab"], options["out"]
    try:
        if revisions is None:
            base, new = _given(sides, options)
        else:
            base, new = _measured(sides, options, REPLICATES if "time" in metrics else 1)
    except ab.CannotRun as reason:
        print(f"gradbench: {reason}", file=sys.stderr)
        return CANNOT_RUN
    found = compare(base, new, factor, metrics, interleaved=revisions is not None)
    told = form(found, revisions or (str(sides[0]), str(sides[1])))
    if out and revisions is None:
        Path(out).write_text(told)
        print(f"{headline(found)}\nverdict: {out}")
    else:
        print(told, end="")
    if options["refresh"]:
        cells = write_baseline(new, sides[0])
        print(f"{cells} cells written to {sides[0]}: commit it and say why in the message", file=sys.stderr)
        return FINE
    return CANNOT_RUN if revisions and found.exit_code == NOTHING else found.exit_code


def _given(sides: Sequence[Path], options: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """The rows of BASE and NEW; a baseline that is to be written need not be there."""
    if len(sides) != 2:
        raise ValueError(f"compare needs BASE and NEW, or --ab REV_A REV_B; got {len(sides)} paths")
    for name, flag in SELECTION.items():
        if options[name] not in (None, ()):
            raise ValueError(f"{flag} belongs to --ab, which measures; BASE and NEW have been measured")
    if options["refresh"] and sides[0].suffix != ".jsonl":
        raise ValueError(f"--refresh writes a baseline over BASE, a .jsonl file, got {str(sides[0])!r}")
    new = load_rows(sides[1])
    return ([] if options["refresh"] and not sides[0].exists() else load_rows(sides[0])), new


def _measured(sides: Sequence[Path], options: dict[str, Any], replicates: int) -> tuple[list[Any], list[Any]]:
    """The rows of two revisions, measured in turns; `CannotRun` where one of them has none of its own."""
    if sides:
        raise ValueError(f"--ab names both sides: leave out {str(sides[0])!r}")
    if options["refresh"]:
        raise ValueError("--refresh takes BASE and NEW, not --ab")
    # what is wrong in every revision is wrong usage, not a revision that cannot run; names are the revisions' own
    if options["seeds"] is not None:
        parse_seeds(options["seeds"])
    if options["dtype"] is not None:
        checks.one_of("dtype", options["dtype"], checks.DTYPES)
    if options["device"] is not None:
        checks.device_name(options["device"])
    for steps in options["steps"]:
        checks.positive_integer("steps", steps)
    folders = ab.measure(
        options["ab"],
        selection(options),
        replicates if options["replicates"] is None else options["replicates"],
        Path(options["out"] or "runs/ab"),
    )
    rows = [load_rows(folder) for folder in folders]
    for revision, side in zip(options["ab"], rows, strict=True):
        if all(row["status"] == "lost" for row in side):
            reason = side[0].get("reason") if side else "it left no rows"
            raise ab.CannotRun(f"{revision} cannot run: {reason}")
    return rows[0], rows[1]


def selection(options: dict[str, Any]) -> list[str]:
    """The selection as words of `gradbench run`."""
    words: list[str] = []
    for name, flag in SELECTION.items():
        if name != "replicates":
            given = options[name]
            values = given if isinstance(given, tuple) else [] if given is None else [given]
            words += [word for value in values for word in (flag, str(value))]
    return words
