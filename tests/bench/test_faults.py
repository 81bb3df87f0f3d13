"""Every planned cell ends as exactly one row, whatever its estimator does, and its siblings are unharmed."""

import time

import psutil
import pytest

from gradbench.bench.isolate import Isolation, Limits, run_isolated
from gradbench.bench.plan import make_plan
from gradbench.bench.runner import Run, execute
from gradbench.bench.store import Store, read_rows
from gradbench.bench.suite import Block

FAULTS = [
    ("Raise", "error", "RuntimeError: raised on purpose"),
    ("Hang", "timeout", "longer than 10 s"),
    ("Segfault", "crash", "killed by SIGSEGV"),
    ("Kill", "crash", "killed by SIGKILL"),
    ("HostMemory", "oom", "allocate memory"),
    ("NotANumber", "diverged", "not finite"),
    ("WrongShape", "error", "the gradient of x_T has shapes"),
    ("WrongTarget", "error", "returned a gradient of 'weights'"),
    ("Chatter", "ok", None),
    ("LongRow", "ok", None),
    ("Mutate", "error", "the estimator changed the problem"),
    ("IgnoreSeed", "ok", None),
]


def plan(*faults):
    names = [f"gradbench.testing.faults:{name}" for name in faults]
    return make_plan([Block(["gaussian"], ["ddim"], ["checkpoint", *names, "backprop"], [3])], 1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run of all faults between two honest siblings, two at a time."""
    store = Store(tmp_path_factory.mktemp("faults"))
    planned = plan(*(name for name, *_ in FAULTS))
    limits = Limits(timeout=10, memory=512 << 20)
    execute(planned, store, Run("faults", jobs=2, limits=limits), lambda row: None)
    return planned, store


@pytest.mark.parametrize(("name", "status", "reason"), FAULTS)
def test_a_fault_is_one_row_with_its_status(finished, name, status, reason):
    rows = [row for row in read_rows(finished[1].folder) if row["estimator"].endswith(f":{name}")]
    assert [row["status"] for row in rows] == [status]
    assert reason is None or reason in rows[0]["reason"]


def test_every_planned_cell_is_exactly_one_row(finished):
    planned, store = finished
    keys = [(row["cell_id"], row["replicate"]) for row in read_rows(store.folder)]
    assert sorted(keys) == sorted(item.key for item in planned)


def test_siblings_are_unharmed(finished):
    rows = {row["estimator"]: row for row in read_rows(finished[1].folder)}
    assert rows["checkpoint"]["status"] == rows["backprop"]["status"] == "ok"


def test_a_megabyte_goes_through(finished):
    rows = {row["estimator"]: row for row in read_rows(finished[1].folder)}
    assert len(rows["gradbench.testing.faults:LongRow"]["draws"]) == 1_000_000


def test_a_failed_cell_says_its_phase(finished):
    rows = {row["estimator"]: row for row in read_rows(finished[1].folder)}
    assert rows["gradbench.testing.faults:Segfault"]["phase"] == "error"


def test_nothing_is_left_running(finished):
    def left():
        return [p for p in psutil.process_iter(["cmdline"]) if "time.sleep(3600)" in " ".join(p.info["cmdline"] or [])]

    deadline = time.monotonic() + 3
    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left()


def test_run_isolated_never_raises(tmp_path):
    isolation = Isolation([], ["nosuchmodule"], Limits(), tmp_path)
    row = isolation.run_isolated(plan()[0].cell, 0)
    assert row["status"] == "lost" and "No module named 'nosuchmodule'" in row["reason"]


def test_one_cell_alone_is_one_row():
    row = run_isolated(plan()[0].cell, Limits(timeout=60))
    assert row["status"] == "ok" and row["peak_bytes"] > 0
