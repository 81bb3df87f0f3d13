"""From a plan to rows: runs every cell that has no row yet, and stores its row as soon as it ends."""

import contextlib
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gradbench import checks
from gradbench.bench.budget import Budget
from gradbench.bench.columns import FINE, SCHEMA
from gradbench.bench.engines import make_executor
from gradbench.bench.isolate import Isolation, Limits
from gradbench.bench.plan import Planned, preload
from gradbench.bench.row import Key, Row
from gradbench.bench.store import Store
from gradbench.measure.environment import fingerprint_of, provenance
from gradbench.problems.folders import folders, weights_of

RERUNS = ("missing", "failed", "all")


class Interrupted(Exception):
    """Ctrl-C: running cells have their rows, the others were not started."""


@dataclass(frozen=True)
class Run:
    """How to carry out a plan. trace: whether a trace of one gradient of every cell is kept."""

    suite: str
    engine: str = "local"
    jobs: int = 1
    limits: Limits = Limits()
    debug: bool = False
    budget: Budget | None = None
    trace: bool = False


def pending(planned: Sequence[Planned], rows: Sequence[Row], rerun: str) -> list[Planned]:
    """The remaining cells: those without a row, with `failed` also those that failed, with `all` every one."""
    checks.one_of("--rerun", rerun, RERUNS)
    if rerun == "all":
        return list(planned)
    have = {row.key for row in rows if rerun == "missing" or row.status in FINE}
    return [item for item in planned if item.key not in have]


def execute(
    planned: Sequence[Planned],
    store: Store,
    run: Run,
    progress: Callable[[Row], None],
    attempts: Counter[Key] | None = None,
) -> int:
    """Runs the cells, stores their rows one by one and calls `progress` with each.

    attempts: earlier runs of each (cell_id, replicate); the row with the highest attempt counts, whatever the clock
    says. Returns how many cells were left out, because their predicted end is outside the budget. Ctrl-C once lets
    running cells finish and raises `Interrupted`; twice stops them at once. A row that cannot be stored raises
    `OSError` with the others on disk.
    """
    run_id, fixed = uuid.uuid4().hex[:12], provenance(tuple(folders()))
    logs, out = store.folder / "logs", store.folder.resolve()
    traces = out / "traces" if run.trace else None
    isolation = Isolation(
        [str(f) for f in folders()],
        preload(planned),
        run.limits,
        logs,
        keep=out / "references",
        traces=traces,
        curves=out / "curves",
    )
    executor = make_executor(run.engine, run.jobs)
    before = attempts or Counter()
    cold = run.engine != "inline"

    def work(item: Planned) -> Row:
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        identity = {"schema": SCHEMA, "run_id": run_id, "suite": run.suite, **item.cell, "replicate": item.replicate}
        identity["attempt"] = before[item.key] + 1
        if (told := weights_of(item.cell)) is not None:
            identity["weights"] = told
        made_by = {"fingerprint": fingerprint_of(item.cell, tuple(folders()))}
        begun = time.monotonic()
        measured = _measure(item, run, isolation)
        took = {} if item.skip is not None else {"wall_s": time.monotonic() - begun}
        return Row({**identity, **fixed, **made_by, "started_at": started, **took, **measured})

    waiting: set[Future[Row]] = set()
    queue, left = iter(planned), 0
    try:
        with _interrupts() as stopping:
            while True:
                while len(waiting) < run.jobs and not stopping.is_set() and (item := next(queue, None)) is not None:
                    if run.budget is not None and not run.budget.admits(item):
                        left += 1
                        continue
                    if cold and item.skip is None:  # no cell's time has the start of the server in it
                        cold = False
                        with contextlib.suppress(Exception):  # the cells say why it cannot start
                            isolation.warm()
                    waiting.add(executor.submit(work, item))
                if not waiting:
                    break
                finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    row = future.result()
                    store.append(row, fixed["machine_id"])
                    if run.budget is not None:
                        run.budget.learn(row)
                    progress(row)
            if stopping.is_set():
                raise Interrupted
    finally:
        isolation.close()
        executor.shutdown(wait=True, cancel_futures=True)
    return left


def _measure(item: Planned, run: Run, isolation: Isolation) -> dict[str, Any]:
    """The measured columns of one planned cell: a skip, or the result of its worker."""
    if item.skip is not None:
        return {"status": "skip", "phase": "plan", "reason": item.skip}
    if run.engine == "inline":
        from gradbench.bench.worker import How, run_cell

        curve = isolation.curve(f"{item.cell.id}-{item.replicate}")
        how = How(item.passes, run.limits.threads, isolation.keep, isolation.traces, curve)
        return run_cell(item.cell, how=how, debug=run.debug)
    return isolation.run_isolated(item.cell, item.replicate, item.passes)


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second raises KeyboardInterrupt."""
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return

    def handle(signum: int, frame: Any) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, previous)
