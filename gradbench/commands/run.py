"""The verbs `run` and `report`: cells measured and stored, and what came of them. No torch."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.bench.budget import Budget
from gradbench.bench.progress import Doing
from gradbench.bench.selection import parse_bytes, parse_seconds, selection
from gradbench.bench.suite import Suite
from gradbench.command import command
from gradbench.measure.cards import GIB, cards_for
from gradbench.problems.folders import folders

OK, SOME_FAILED, NOTHING, BUDGET_SPENT, INTERRUPTED = 0, 3, 4, 5, 130


def run_command(options: dict[str, Any], line: str) -> int:
    """Plans, runs, stores, and shows what came of it; returns the exit code."""
    from gradbench.bench.engines import ENGINES
    from gradbench.bench.isolate import Limits
    from gradbench.bench.plan import make_plan
    from gradbench.bench.progress import Progress
    from gradbench.bench.runner import RERUNS, Interrupted, Run, execute
    from gradbench.bench.store import Store

    checks.one_of("--rerun", options["rerun"], RERUNS)
    checks.one_of("engine", options["engine"], ENGINES)
    jobs = checks.positive_integer("jobs", options["jobs"])
    memory = parse_bytes(options["memory"]) if options["memory"] else None
    threads = options["threads"]
    if threads is not None:
        threads = int(checks.in_range("threads", threads, 1, 256))
    limits = Limits(parse_seconds(options["timeout"]), threads, memory)
    seconds = None if options.get("budget") is None else parse_seconds(options["budget"], "--budget")
    suite = selection(options)
    planned = make_plan(suite.blocks, suite.replicates)
    if options["dry_run"]:
        _show_plan(planned, options["as_json"])
        return OK
    for device in {block.device for block in suite.blocks} - {"cpu"}:
        checks.device(device)
    if not options["out"]:
        raise ValueError("--out must name a folder, got ''")
    store = Store(Path(options["out"]))
    store.lock()
    earlier = store.rows()
    todo = _todo(planned, earlier, options["rerun"])
    for said in _announced(options, suite, len(planned), sum(item.skip is None for item in todo)):
        print(said, file=sys.stderr)
    store.write_plan(planned, suite.name, line, suite.expects)
    engine = "inline" if options["pdb"] else options["engine"]
    stopped, left = None, 0
    with Progress(len(todo), len(planned) - len(todo)) as progress:
        try:
            budget = None if seconds is None else Budget(seconds, _of_this_machine(earlier))
            how = Run(suite.name, engine, jobs, limits, options["pdb"], budget)
            left = execute(todo, store, how, progress.row, store.attempts())
        except (Interrupted, KeyboardInterrupt):
            stopped = "interrupted"
        except OSError as error:
            stopped = f"a row could not be stored ({error.strerror})"
    keys = {item.key for item in planned}
    del planned, todo  # a long plan is as large as its rows
    rows = [row for row in store.rows() if (row["cell_id"], row["replicate"]) in keys]
    if stopped is not None:
        print(f"{stopped}: {len(rows)} of {len(keys)} cells have rows; go on with: {line}", file=sys.stderr)
        return INTERRUPTED if stopped == "interrupted" else SOME_FAILED
    if not rows and not left:
        print("gradbench: nothing selected", file=sys.stderr)
        return NOTHING
    if options["as_json"]:
        print(json.dumps(rows))
    if rows:
        write_outputs(rows, store.folder, line, show=not options["as_json"])
    if left:
        said = f"{left} of {len(keys)} cells are left, predicted to end outside the budget of {options['budget']}"
        print(f"{said}; go on with: {line}", file=sys.stderr)
        return BUDGET_SPENT
    failed = [row for row in rows if row["status"] not in ("ok", "skip", *suite.expects)]
    return SOME_FAILED if failed else OK


def _of_this_machine(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows whose times tell of this machine's."""
    from gradbench.measure.environment import provenance

    own = provenance(tuple(folders()))["machine_id"]
    return [row for row in rows if row.get("machine_id") == own]


def _announced(options: dict[str, Any], suite: Suite, planned: int, todo: int) -> list[str]:
    """What a run is about to do: where nothing is selected, which suite that is, and how long it takes."""
    chosen = options["suite"] is not None or suite.name == "selection"
    said = [] if chosen else [f"no cells selected, so this is the suite {suite.name}: {suite.summary}"]
    return [*said, f"{planned:,} cells, {todo:,} of them to be measured now, into {options['out']}"]


def _todo(planned: list[Any], earlier: list[dict[str, Any]], rerun: str) -> list[Any]:
    """What is left of a plan; says on stderr how many of the rows already there were made by other code."""
    from gradbench.bench.runner import pending
    from gradbench.measure.environment import fingerprint_of

    stale = sum(row.get("fingerprint") != fingerprint_of(row, tuple(folders())) for row in earlier)
    if stale and rerun != "all":
        print(f"{stale} rows there were made by other code than this; --rerun all measures them again", file=sys.stderr)
    return pending(planned, earlier, rerun)


def _show_plan(planned: Sequence[Any], as_json: bool) -> None:
    """Every cell with its command; of cells on a GPU what memory is predicted, and the cards that hold it."""
    needs = [_needs(item) for item in planned]
    if as_json:
        own = [{**item.cell, "replicate": item.replicate, "skip": item.skip} for item in planned]
        print(json.dumps([cell | need for cell, need in zip(own, needs, strict=True)]))
        return
    for item, need in zip(planned, needs, strict=True):
        note = f"  # skip: {item.skip}" if item.skip else ""
        memory = f"{_in_words(need):<48}  " if need else ""
        print(f"{item.cell['cell_id']}  {memory}{command(item.cell)}{note}")
    counts = Counter("skip" if item.skip else "run" for item in planned)
    print(f"{len(planned)} cells: {counts['run']} to run, {counts['skip']} skipped")


def _needs(item: Any) -> dict[str, Any]:
    """What is predicted, without predicting anew, of the memory of a cell on a GPU; nothing of one on a CPU."""
    if item.skip is not None or item.cell["device"] == "cpu":
        return {}
    from gradbench.bench.predictions import foreseen

    found = foreseen(item.cell)
    if found is None:
        return {"predicted_peak_bytes": None, "predicted_baseline_bytes": None, "cards": []}
    cards = cards_for(found.peak + found.baseline)
    return {"predicted_peak_bytes": found.peak, "predicted_baseline_bytes": found.baseline, "cards": cards}


def _in_words(need: dict[str, Any]) -> str:
    if need["predicted_peak_bytes"] is None:
        return "memory not predicted: gradbench predict"
    total = (need["predicted_peak_bytes"] + need["predicted_baseline_bytes"]) / GIB
    held = f"fits {', '.join(map(str, need['cards']))} GB" if need["cards"] else "fits no card"
    return f"{total:.3g} GiB predicted, {held}"


def write_outputs(rows: Sequence[dict[str, Any]], folder: Path, line: str, show: bool = True) -> None:
    """The table in the terminal, rows.parquet and report.html."""
    from gradbench.bench.store import write_parquet
    from gradbench.report.html import write_report
    from gradbench.report.terminal import show_table

    if show:
        show_table(rows)
    with Doing(f"report of {len(rows):,} rows"):
        write_parquet(rows, folder / "rows.parquet")
        write_report(list(rows), folder / "report.html", command=line)
    if show:
        for name, what in (("rows.parquet", "rows"), ("report.html", "report")):
            print(f"{what}: {folder / name}")


def report_command(source: Path, out: Path | None, as_json: bool) -> None:
    """The table and the page again, of a run also rows.parquet; published rows stay as they are."""
    from gradbench.bench.load import load_rows
    from gradbench.bench.store import read_plan, write_parquet
    from gradbench.report.html import write_report
    from gradbench.report.terminal import show_table

    folder, files = source if source.is_dir() else source.parent, {}
    with Doing("report") as doing:
        doing.at("reading rows")
        rows = load_rows(source, strict=False)
        if not rows:
            raise ValueError(f"no rows in {str(source)!r}: a folder that `gradbench run --out` wrote has rows-*.jsonl")
        doing.at(f"writing the page of {len(rows):,} rows")
        if any(folder.glob("rows-*.jsonl")):
            write_parquet(rows, folder / "rows.parquet")
            files["parquet"] = str(folder / "rows.parquet")
        plan = read_plan(folder) or {}
        files["report"] = str(write_report(rows, out or folder / "report.html", command=plan.get("command") or ""))
    if as_json:
        print(json.dumps({"folder": str(folder), "rows": len(rows), **files}, indent=2))
        return
    show_table(rows)
    for name, place in files.items():
        print(f"{name}: {place}")
