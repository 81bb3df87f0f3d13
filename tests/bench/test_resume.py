"""Killed, interrupted, resumed, merged: each cell once, nothing written is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from gradbench.bench.plan import make_plan
from gradbench.bench.row import Row
from gradbench.bench.schema import SCHEMA, json_schema, migrate
from gradbench.bench.store import Store, latest, read_rows
from gradbench.bench.suite import Block
from tests.bench.helpers import GOLDEN_ROWS, ROOT
from tests.quick import quick

CELLS = (
    "-c",
    "gaussian[dim=1]",
    "-e",
    "backprop",
    "-e",
    "checkpoint",
    "--steps",
    "1",
    "--seeds",
    "0-9",
    "--target",
    "x_T",
)
KEYS = 20


def start(out, *more):
    command = [sys.executable, "-m", "gradbench", "run", *CELLS, "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def resume(out):
    process = start(out)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def whole_lines(out):
    return [line for shard in out.glob("rows-*.jsonl") for line in shard.read_bytes().split(b"\n") if is_row(line)]


def is_row(line):
    try:
        return bool(json.loads(line))
    except ValueError:
        return False


def kill_and_resume(out, moment):
    process = start(out)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    before = whole_lines(out) if out.exists() else []
    resume(out)
    after = whole_lines(out)
    assert set(before) <= set(after)
    keys = [(row["cell_id"], row["replicate"]) for row in read_rows(out)]
    assert len(keys) == len(set(keys)) == KEYS


@pytest.mark.parametrize("moment", quick([0.3, 2.0, 3.0, 3.6, 4.2], 0, 3))
def test_a_parent_killed_at_any_moment_loses_nothing(tmp_path, moment):
    kill_and_resume(tmp_path / "out", moment)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_parent_killed_at_100_random_moments_loses_nothing(tmp_path):
    draw = random.Random(0)
    for i in range(100):
        kill_and_resume(tmp_path / str(i), draw.uniform(0.2, 5.0))


def test_no_child_outlives_a_killed_parent_by_two_seconds(tmp_path):
    process = start(tmp_path / "out", "-e", "gradbench.testing.faults:Hang", "--jobs", "2")
    deadline = time.monotonic() + 300
    while not [p for p in descendants(process.pid) if "sleep(3600)" in cmdline(p)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    family = descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(family, timeout=2)
    assert not [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def descendants(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def cmdline(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_one_interrupt_finishes_the_running_cell_and_says_how_to_go_on(tmp_path):
    out = tmp_path / "out"
    process = start(out)
    wait_for_rows(out, 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    rows = list(read_rows(out))
    assert process.returncode == 130 and 2 <= len(rows) < KEYS
    assert all(row["status"] == "ok" for row in rows)
    assert f"interrupted: {len(rows)} of {KEYS} cells have rows; resume with: gradbench run" in errors
    assert "Traceback" not in errors
    resume(out)
    assert len(list(read_rows(out))) == KEYS


def test_two_interrupts_stop_at_once(tmp_path):
    out = tmp_path / "out"
    process = start(out, "-e", "gradbench.testing.faults:Hang")
    wait_for_rows(out, KEYS)
    time.sleep(0.5)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and time.monotonic() - begun < 8 and "Traceback" not in errors


def wait_for_rows(out, count):
    deadline = time.monotonic() + 3000
    while not out.exists() or len(whole_lines(out)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_runs_do_not_share_a_folder(tmp_path):
    first = start(tmp_path / "out")
    wait_for_rows(tmp_path / "out", 1)
    second = start(tmp_path / "out")
    _, errors = second.communicate(timeout=300)
    first.communicate(timeout=300)
    assert second.returncode == 2 and f"another run (process {first.pid}) is writing" in errors
    assert len(list(read_rows(tmp_path / "out"))) == KEYS


def row(cell_id="a", status="ok", **more):
    known = {"replicate": 0, "started_at": "2026-01-01", "schema": SCHEMA}
    return Row({"cell_id": cell_id, "status": status, **known, **more})


def test_a_later_attempt_counts_though_the_clock_went_backwards():
    rows = [row(status="error", attempt=1, started_at="2026-01-02"), row(attempt=2, started_at="2026-01-01")]
    assert [r["status"] for r in latest(rows)] == ["ok"]


def test_a_full_disk_leaves_whole_lines_only(tmp_path, monkeypatch):
    store, write = Store(tmp_path), os.write
    store.append(row("a"), "m")
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    with pytest.raises(OSError, match="No space left"):
        store.append(row("b"), "m")
    monkeypatch.undo()
    store.append(row("c"), "m")
    assert [r["cell_id"] for r in read_rows(tmp_path)] == ["a", "c"]


def test_a_full_disk_ends_a_run_in_one_line(tmp_path):
    code = (
        "import os, sys; from gradbench.bench.store import Store; append = Store.append\n"
        "def full(self, row, machine):\n"
        "    if len(list(self.rows())) == 3: raise OSError(28, 'No space left on device')\n"
        "    append(self, row, machine)\n"
        f"Store.append = full; sys.argv = ['gradbench', 'run', *{CELLS!r}, '--out', {str(tmp_path / 'out')!r}]\n"
        "from gradbench.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3 and "a row could not be stored (No space left on device): 3 of 20" in done.stderr
    assert "Traceback" not in done.stderr and len(list(read_rows(tmp_path / "out"))) == 3


def test_failed_cells_are_run_again_and_the_new_row_counts(tmp_path):
    store, planned = Store(tmp_path), make_plan([Block(["gaussian[dim=1]"], ["ddim"], ["backprop"], [1])], 1)
    identity = {**planned[0].cell, "replicate": 0}
    store.append({**row(), **identity, "status": "error", "attempt": 1}, "m")
    done = subprocess.run(
        [sys.executable, "-m", "gradbench", "run", "-c", "gaussian[dim=1]", "-e", "backprop", "--steps", "1"]
        + ["--rerun", "failed", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [(r["status"], r["attempt"]) for r in store.rows()] == [("ok", 2)]


def test_status_tells_what_happened_and_what_to_type(tmp_path):
    out = tmp_path / "out"
    process = start(out, "-e", "gradbench.testing.faults:Raise")
    process.communicate(timeout=300)
    assert process.returncode == 3
    shard = next(out.glob("rows-*.jsonl"))
    lines = shard.read_text().splitlines()
    shard.write_text("\n".join(lines[:-4] + [lines[-1]]) + "\n")
    told = subprocess.run([sys.executable, "-m", "gradbench", "status", str(out)], capture_output=True, text=True)
    assert told.returncode == 0
    assert "30 planned, 20 done, 7 failed, 3 missing" in told.stdout
    assert "7 x error in error: RuntimeError: raised on purpose" in told.stdout
    assert "to resume:" in told.stdout and "--rerun failed" in told.stdout


def test_status_of_a_folder_without_rows_is_one_line(tmp_path):
    told = subprocess.run([sys.executable, "-m", "gradbench", "status", str(tmp_path)], capture_output=True, text=True)
    assert told.returncode == 2 and "no rows and no plan" in told.stderr and told.stderr.count("\n") == 1


def test_merge_joins_folders_and_machines(tmp_path):
    for name, machine, status in (("one", "m1", "ok"), ("two", "m2", "ok"), ("three", "m1", "error")):
        store = Store(tmp_path / name)
        more = {"case": "gaussian", "machine_id": machine, "attempt": 2 if name == "three" else 1}
        store.append(row("a", status, **more), machine)
        store.append(row(name, **more), machine)
    words = ["merge", *(str(tmp_path / n) for n in ("one", "two", "three")), "--out", str(tmp_path / "all")]
    done = subprocess.run([sys.executable, "-m", "gradbench", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = sorted((r["cell_id"], r["machine_id"], r["status"]) for r in read_rows(tmp_path / "all"))
    assert found == [
        ("a", "m1", "error"),
        ("a", "m2", "ok"),
        ("one", "m1", "ok"),
        ("three", "m1", "ok"),
        ("two", "m2", "ok"),
    ]


@pytest.mark.parametrize("file", sorted(GOLDEN_ROWS.glob("*.jsonl")), ids=lambda f: f.stem)
def test_rows_of_every_schema_load_for_ever(file):
    import pandas as pd

    rows = [migrate(json.loads(line)) for line in file.read_text().splitlines()]
    assert rows and all(r["schema"] == SCHEMA and r["cell_id"] and r["status"] for r in rows)
    assert all(r["sampler_tol"] is not None and r["attempt"] == 1 for r in rows if r["status"] == "ok")
    assert len(pd.DataFrame(rows)) == len(rows)


def test_a_row_from_the_future_is_refused():
    with pytest.raises(ValueError, match=f"schema {SCHEMA + 1}, newer than {SCHEMA}"):
        migrate({"schema": SCHEMA + 1})


def test_the_published_schema_is_todays():
    published = json.loads((ROOT / "results" / "schema" / f"row-{SCHEMA}.json").read_text())
    assert published == json_schema()


def test_measured_rows_satisfy_the_published_schema():
    import jsonschema

    validator = jsonschema.Draft202012Validator(json_schema())
    from gradbench.bench.columns import COLUMNS
    from gradbench.bench.worker import run_cell

    cell = make_plan([Block(["gaussian"], ["ddpm"], ["checkpoint"], [4])], 1)[0].cell
    measured = run_cell(cell)
    whole = {**row(), **cell, "attempt": 1, **measured}
    validator.validate({name: whole.get(name) for name in COLUMNS})


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_cells_cost_the_same_from_the_first_to_the_last(tmp_path):
    words = ["run", "-c", "gaussian[dim=1,batch=1]", "-e", "backprop", "--steps", "1", "--target", "x_T"]
    words += ["--seeds", "0-9999", "--jobs", "2", "--out", str(tmp_path / "out")]
    process = subprocess.Popen([sys.executable, "-m", "gradbench", *words], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.5)
    starts = sorted(r["started_at"] for r in read_rows(tmp_path / "out"))
    assert process.returncode == 0 and len(starts) == 10_000 and peak < 300 << 20
    from datetime import datetime

    times = [datetime.fromisoformat(s).timestamp() for s in starts]
    first, last = times[2000] - times[500], times[-1] - times[-1501]
    assert last < 1.3 * first


def memory(pid):
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


def test_ten_thousand_cells_are_planned_in_two_seconds():
    begun = time.process_time()
    planned = make_plan(
        [Block(["gaussian[dim=1]"], ["ddim"], ["backprop", "checkpoint"], [1], seeds=list(range(5000)))], 1
    )
    assert len(planned) == 10_000 and time.process_time() - begun < 2
