"""The verb `run`: measures and stores cells, and reports the results. No torch."""

import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gradbench import checks
from gradbench.bench import runner
from gradbench.bench.budget import Budget
from gradbench.bench.columns import FINE
from gradbench.bench.engines import ENGINES
from gradbench.bench.isolate import Limits
from gradbench.bench.plan import Planned, make_plan
from gradbench.bench.progress import Progress
from gradbench.bench.row import Row
from gradbench.bench.selection import Selection
from gradbench.bench.store import Store
from gradbench.bench.suite import Suite
from gradbench.checks import UsageError
from gradbench.command import command
from gradbench.commands.options import DURATION, RUNS, SIZE, cases_option, json_option, one_of, path, with_selection
from gradbench.commands.outputs import write_outputs
from gradbench.exits import Exit
from gradbench.measure.cards import GIB, cards_for
from gradbench.measure.environment import fingerprint_of, provenance
from gradbench.measure.nvidia import BY_DRIVER
from gradbench.problems.folders import folders


@click.command()
@RUNS
@path("--out", default="runs/latest", show_default=True, help="Folder for rows and report.")
@click.option("-j", "--jobs", type=int, default=1, show_default=True, metavar="N", help="Cells at a time.")
@one_of("--engine", *ENGINES, default="local", help="local, or inline to debug.", called="engine")
@click.option(
    "--timeout", type=DURATION, default="10m", show_default=True, metavar="TIME", help="Limit per cell: 90, 90s, 1h."
)
@click.option("--budget", type=DURATION, metavar="TIME", help="Start no cell predicted to end after this time: 7m.")
@click.option(
    "--memory", type=SIZE, metavar="SIZE", help="Limit on a cell's host memory over the idle worker's: 4GiB, 500MB."
)
@click.option("--threads", type=int, metavar="N", help="Threads of a worker; 1, or all for full-size networks.")
@one_of("--rerun", *runner.RERUNS, default="missing", metavar="WHAT")
@click.option("--trace", is_flag=True, help="Keep a profiler's trace of one gradient of every cell, OUT/traces.")
@click.option("--pdb", is_flag=True, help="Run inline and stop in the debugger if a cell fails.")
@click.option("--dry-run", is_flag=True, help="Show the plan, run nothing.")
@json_option
@cases_option
@with_selection
def run(
    selection: Selection,
    out: str,
    jobs: int,
    engine: str,
    timeout: float,
    budget: float | None,
    memory: int | None,
    threads: int | None,
    rerun: str,
    trace: bool,
    pdb: bool,
    dry_run: bool,
    as_json: bool,
) -> Exit:
    """Measure cells and write rows, a table, rows.parquet and report.html.

    Without a suite, case, sampler or estimator, measure the suite smoke and say so.
    """
    checks.positive_integer("jobs", jobs)
    if threads is not None:
        checks.in_range("threads", threads, 1, 256)
    suite = selection.cells()
    planned = make_plan(suite.blocks, suite.replicates)
    if dry_run:
        _show_plan(planned, as_json)
        return Exit.OK
    for device in {block.device for block in suite.blocks} - {"cpu"}:
        os.environ.update(BY_DRIVER)
        checks.device(device)
    if not out:
        raise UsageError("--out must name a folder, got ''")
    store, line = Store(Path(out)), shlex.join(["gradbench", *sys.argv[1:]])
    store.lock()
    earlier = store.rows()
    todo = _todo(planned, earlier, rerun)
    if not selection.names_cells:
        print(f"no cells selected, so this runs the suite {suite.name}: {suite.summary}", file=sys.stderr)
    new = sum(item.skip is None for item in todo)
    print(f"{len(planned):,} cells, {new:,} of them to be measured now, into {out}", file=sys.stderr)
    store.write_plan(planned, suite.name, line, suite.expects)
    within = None if budget is None else Budget(budget, _of_this_machine(earlier))
    limits = Limits(timeout, threads, memory)
    how = runner.Run(suite.name, "inline" if pdb else engine, jobs, limits, pdb, within, trace)
    stopped: tuple[str, Exit] | None = None
    left = 0
    with Progress(len(todo), len(planned) - len(todo)) as progress:
        try:
            left = runner.execute(todo, store, how, progress.row, store.attempts())
        except (runner.Interrupted, KeyboardInterrupt):
            stopped = "interrupted", Exit.INTERRUPTED
        except OSError as error:
            stopped = f"a row could not be stored ({error.strerror})", Exit.CELLS_FAILED
    keys = {item.key for item in planned}
    del planned, todo  # a long plan is as large as its rows
    rows = [row for row in store.rows() if row.key in keys]
    if stopped is not None:
        print(f"{stopped[0]}: {len(rows)} of {len(keys)} cells have rows; resume with: {line}", file=sys.stderr)
        return stopped[1]
    left_out = ""
    if left and budget is not None:
        store.write_left(left, budget)
        left_out = f"{left} of {len(keys)} cells are left, predicted to end after the budget of {budget:g} s"
    return _told(rows, store.folder, suite, line, left_out, as_json)


def _told(rows: list[Row], folder: Path, suite: Suite, line: str, left_out: str, as_json: bool) -> Exit:
    """Shows the results of a run that was not stopped. left_out: the cells that the budget kept from starting.

    Failures decide the exit code first, because cells that are left are no fault of theirs.
    """
    if not rows and not left_out:
        print("gradbench: nothing selected", file=sys.stderr)
        return Exit.NOTHING
    if as_json:
        print(json.dumps(rows))
    if rows:
        write_outputs(rows, folder, line, show=not as_json)
    failed = Counter(row.status for row in rows if row.status not in (*FINE, *suite.expects))
    if failed:
        each = ", ".join(f"{count} {status}" for status, count in failed.items())
        print(
            f"{failed.total()} of {len(rows)} cells failed: {each}; see gradbench status {shlex.quote(str(folder))}",
            file=sys.stderr,
        )
    if left_out:
        print(f"{left_out}; resume with: {line}", file=sys.stderr)
    return Exit.CELLS_FAILED if failed else Exit.BUDGET_SPENT if left_out else Exit.OK


def _of_this_machine(rows: Sequence[Row]) -> list[Row]:
    """The rows whose times are comparable with this machine's."""
    own = provenance(tuple(folders()))["machine_id"]
    return [row for row in rows if row.text("machine_id") == own]


def _todo(planned: Sequence[Planned], earlier: Sequence[Row], rerun: str) -> list[Planned]:
    """The remaining part of a plan; reports on stderr how many existing rows were made by other code."""
    stale = sum(row.text("fingerprint") != fingerprint_of(row, tuple(folders())) for row in earlier)
    if stale and rerun != "all":
        print(f"{stale} rows there were made by different code; --rerun all measures them again", file=sys.stderr)
    return runner.pending(planned, earlier, rerun)


def _show_plan(planned: Sequence[Planned], as_json: bool) -> None:
    """Every cell with its command; for cells on a GPU the predicted memory, and the cards that hold it."""
    needs = [_needs(item) for item in planned]
    if as_json:
        own = [{**item.cell, "replicate": item.replicate, "skip": item.skip} for item in planned]
        print(json.dumps([{**cell, **(need or {})} for cell, need in zip(own, needs, strict=True)]))
        return
    for item, need in zip(planned, needs, strict=True):
        note = f"  # skip: {item.skip}" if item.skip else ""
        memory = f"{_in_words(need):<48}  " if need else ""
        print(f"{item.cell.id}  {memory}{command(item.cell)}{note}")
    counts = Counter("skip" if item.skip else "run" for item in planned)
    print(f"{len(planned)} cells: {counts['run']} to run, {counts['skip']} skipped")


def _needs(item: Planned) -> Mapping[str, Any] | None:
    """The earlier prediction of the memory of a cell on a GPU; None for a cell on a CPU."""
    if item.skip is not None or item.cell.device == "cpu":
        return None
    from gradbench.bench.predictions import foreseen

    found = foreseen(item.cell)
    if found is None:
        return {"predicted_peak_bytes": None, "predicted_baseline_bytes": None, "cards": []}
    cards = cards_for(found.peak + found.baseline)
    return {"predicted_peak_bytes": found.peak, "predicted_baseline_bytes": found.baseline, "cards": cards}


def _in_words(need: Mapping[str, Any]) -> str:
    if need["predicted_peak_bytes"] is None:
        return "memory not predicted: gradbench predict"
    total = (need["predicted_peak_bytes"] + need["predicted_baseline_bytes"]) / GIB
    held = f"fits {', '.join(map(str, need['cards']))} GB" if need["cards"] else "fits no card"
    return f"{total:.3g} GiB predicted, {held}"
