"""From a plan to rows: every cell that has none yet is run, and its row stored the moment it ends."""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gradbench import checks
from gradbench.bench.case import folders
from gradbench.bench.engines import make_executor
from gradbench.bench.isolate import Isolation, Limits
from gradbench.bench.plan import Planned, preload
from gradbench.bench.store import SCHEMA, Store
from gradbench.measure.environment import provenance

RERUNS = ("missing", "failed", "all")
DONE = ("ok", "skip")


@dataclass(frozen=True)
class Run:
    """How a plan is carried out."""

    suite: str
    engine: str = "local"
    jobs: int = 1
    limits: Limits = Limits()
    rerun: str = "missing"


def pending(planned: Sequence[Planned], rows: Sequence[dict[str, Any]], rerun: str) -> list[Planned]:
    """What is left: cells without a row, with `failed` those that failed too, with `all` every one."""
    checks.one_of("--rerun", rerun, RERUNS)
    if rerun == "all":
        return list(planned)
    have = {(r["cell_id"], r["replicate"]) for r in rows if rerun == "missing" or r["status"] in DONE}
    return [item for item in planned if item.key not in have]


def execute(
    planned: Sequence[Planned], store: Store, run: Run, progress: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    """Runs the cells and returns their rows; `progress` is told of each. Ctrl-C ends it with what is there stored."""
    run_id, fixed = uuid.uuid4().hex[:12], provenance()
    isolation = Isolation([str(f) for f in folders()], preload(planned), run.limits, store.folder / "logs")
    rows: list[dict[str, Any]] = []

    def work(item: Planned) -> dict[str, Any]:
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        if item.skip is not None:
            measured = {"status": "skip", "phase": "plan", "reason": item.skip}
        elif run.engine == "inline":
            from gradbench.bench.worker import run_cell

            measured = run_cell(item.cell, lambda phase: None, run.limits.threads)
        else:
            measured = isolation.run_isolated(item.cell, item.replicate)
        identity = {"schema": SCHEMA, "run_id": run_id, "suite": run.suite, **item.cell, "replicate": item.replicate}
        return {**identity, **fixed, "started_at": started, **measured}

    executor = make_executor(run.engine, run.jobs)
    waiting: set[Future[dict[str, Any]]] = set()
    queue = iter(planned)
    try:
        while True:
            while len(waiting) < run.jobs and (item := next(queue, None)) is not None:
                waiting.add(executor.submit(work, item))
            if not waiting:
                return rows
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                row = future.result()
                store.append(row, fixed["machine_id"])
                rows.append(row)
                progress(row)
    finally:
        isolation.close()
        executor.shutdown(wait=True, cancel_futures=True)
