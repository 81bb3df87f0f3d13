"""Cells in processes of their own: what they measure, and how their deaths become rows."""

import os
import signal
import textwrap
import time
from dataclasses import replace

import psutil
import pytest

from gradbench.bench.isolate import Isolation, Limits
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import USUAL, Block
from gradbench.bench.worker import run_cell
from tests.command_line import inside

BROKEN = """
NAME = "broken"
SUMMARY = "a case whose build misbehaves"
CITATION = ""
OBJECTIVES = ("none",)
PARAMS = {"how": "raise", "t_max": 1.0, "t_min": 0.001, "batch": 1, "objective": "none"}
ARRAYS = ()
GRID = "uniform-t"
DTYPE = "float64"
DTYPES = ("float64",)
NOISE = "keyed"
TARGETS = ("x_T",)
REFERENCES = ()
FLOW = None
REQUIRES = ()
PRELOAD = ()


def check(params):
    pass


def build(params, arrays, seed):
    import os, signal, subprocess, time

    how = params["how"]
    if how == "hang":
        subprocess.Popen(["sleep", "60"])
        time.sleep(60)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segfault":
        import ctypes

        ctypes.string_at(0)
    if how == "exit":
        os._exit(7)
    if how == "gpu":
        raise RuntimeError("sees " + os.environ["CUDA_VISIBLE_DEVICES"])
    if how == "memory":
        raise MemoryError("too much")
    print("noise" * 100_000)
    raise RuntimeError("on purpose")
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    (folder / "broken").mkdir()
    (folder / "broken" / "case.py").write_text(textwrap.dedent(BROKEN))
    from gradbench.problems.folders import add_folder, package_of_cases

    add_folder(folder)
    yield folder
    package_of_cases().__path__.remove(str(folder))


@pytest.fixture(scope="module")
def isolation(cases, tmp_path_factory):
    made = Isolation(
        [str(cases)], ["gradbench.estimators.pathwise.pathwise"], Limits(timeout=20), tmp_path_factory.mktemp("logs")
    )
    yield made
    made.close()


def cell(case="gaussian", estimator="checkpoint"):
    return make_plan([Block([case], ["ddim"], [estimator], [4])], 1)[0].cell


def test_a_cell_is_measured_in_three_passes(isolation):
    row = isolation.run_isolated(cell(), 0)
    assert row["status"] == "ok" and row["nfe_forward"] == row["nfe_backward"] == 4
    assert 0 < row["flow_error_x_T"] < 1 and row["sampler_error_x_T"] == 0
    assert row["time_s"] > 0 and len(row["time_samples"]) >= 3 and row["peak_bytes"] > row["state_bytes"] > 0


def test_a_forked_cell_measures_what_an_inline_one_does(isolation):
    forked, inline = isolation.run_isolated(cell(), 0), run_cell(cell())
    for column in ("flow_error_x_T", "peak_bytes", "reference_digest", "grad_norm_condition", "tape_bytes"):
        assert forked[column] == inline[column]


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("raise", "error", "RuntimeError: on purpose"),
        ("memory", "oom", "too much"),
        ("kill", "crash", "SIGKILL"),
        ("segfault", "crash", "SIGSEGV"),
        ("exit", "crash", "exit code 7"),
    ],
)
def test_a_death_is_a_row_and_the_next_cell_lives(isolation, how, status, reason):
    row = isolation.run_isolated(cell(f"broken[how={how}]"), 0)
    assert (row["status"], row["phase"]) == (status, "build") and reason in row["reason"]
    assert isolation.run_isolated(cell(), 0)["status"] == "ok"


def test_a_hanging_cell_is_ended_with_its_children(cases, tmp_path):
    isolation = Isolation([str(cases)], [], Limits(timeout=1), tmp_path)
    isolation.warm()
    start = time.monotonic()
    row = isolation.run_isolated(cell("broken[how=hang]"), 0)
    isolation.close()
    assert row["status"] == "timeout" and time.monotonic() - start < 5
    assert not any(p.info["cmdline"] == ["sleep", "60"] for p in psutil.process_iter(["cmdline"]))


def left_of(server):
    """The processes forked by a server, after up to three seconds in which they may end."""
    _, alive = psutil.wait_procs(psutil.Process(server.process.pid).children(recursive=True), timeout=3)
    return alive


def test_a_worker_that_starts_after_its_time_was_up_ends_at_once(cases, tmp_path):
    isolation = Isolation([str(cases)], [], Limits(timeout=0.5), tmp_path)
    server = isolation.warm()
    try:
        os.kill(server.process.pid, signal.SIGSTOP)
        row = isolation.run_isolated(cell("broken[how=hang]"), 0)
        os.kill(server.process.pid, signal.SIGCONT)
        time.sleep(0.5)  # the server forks
        assert (row["status"], row["phase"]) == ("timeout", "import") and not left_of(server)
    finally:
        isolation.close()


def test_a_worker_to_which_nobody_listens_ends_with_its_children(isolation):
    server, (read, write) = isolation.warm(), os.pipe()
    request = {"cell": cell("broken[how=hang]").identity, "passes": ["error"], "keep": None}
    with open(os.devnull, "wb") as nowhere:
        server.submit({**request, "threads": 1, "memory": None}, [write, nowhere.fileno()])
    os.close(write)
    while b"build" not in os.read(read, 1 << 16):
        pass
    os.close(read)
    assert not left_of(server)


def test_the_log_of_a_failed_cell_keeps_its_tail(isolation):
    failed = cell("broken[how=raise]")
    isolation.run_isolated(failed, 3)
    log = isolation.logs / f"{failed['cell_id']}-3.txt"
    assert log.stat().st_size <= 65536 and "RuntimeError: on purpose" in log.read_text()


def test_the_server_ends_when_its_parent_does(cases):
    import subprocess
    import sys

    code = (
        "from gradbench.bench.isolate import Isolation, Limits; from pathlib import Path; import os, signal;"
        "i = Isolation([], [], Limits(), Path('/tmp')); print(i.warm().process.pid, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
    for _ in range(20):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    raise AssertionError("the server is still there")


def test_one_cell_has_a_gpu_at_a_time():
    import threading

    from gradbench.bench.isolate import GpuSlots

    slots, log, lock = GpuSlots(["3", "5"]), [], threading.Lock()

    def use(place):
        gpu = slots.take(place)
        with lock:
            log.append(("take", gpu))
        time.sleep(0.02)
        with lock:
            log.append(("give", gpu))
        slots.give(gpu)

    threads = [threading.Thread(target=use, args=(place,)) for place in ("", "", "1", "", "0", "1")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for gpu in ("3", "5"):
        assert [what for what, which in log if which == gpu][::2] == ["take"] * (
            len([1 for _, g in log if g == gpu]) // 2
        )
    assert len(log) == 12


def test_a_worker_that_dies_while_writing_its_row_is_a_crash(tmp_path):
    isolation = Isolation([], [], Limits(timeout=5), tmp_path)
    read, write = os.pipe()
    os.write(write, b'{"phase": "memory"}\n{"row": {"status": "ok", "time_s\n{"rc": -9}\n')
    said = {**isolation._listen(read), "oom_killed": False}
    os.close(read), os.close(write)
    assert isolation._classify(said) == {"status": "crash", "phase": "memory", "reason": "killed by SIGKILL"}


def test_a_cell_on_a_card_is_forked_from_the_warm_server_and_sees_that_card_alone(isolation, monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    before, server = isolation.run_isolated(cell("broken[how=gpu]"), 0), isolation.warm()
    assert "CUDA_VISIBLE_DEVICES" in before["reason"]  # a KeyError: nothing is set on a CPU
    row = isolation._run(server, cell("broken[how=gpu]"), USUAL, tmp_path / "log.txt", "5")
    assert row["reason"] == "RuntimeError: sees 5" and isolation.warm() is server


def test_importing_what_cells_on_a_card_need_makes_no_context():
    from gradbench.bench.plan import preload
    from gradbench.bench.suite import load_suite
    from gradbench.measure.nvidia import context_in_this_process

    isolation = Isolation([], preload(make_plan(load_suite("gpu").blocks, 1)), Limits(), None)
    try:
        assert not isolation.warm().touched_cuda and not context_in_this_process()
    finally:
        isolation.close()


def test_a_run_asks_the_driver_whether_there_is_a_card(monkeypatch):
    name, asked = "PYTORCH_NVML_BASED_CUDA_CHECK", []
    monkeypatch.setenv(name, "0")
    monkeypatch.setattr("torch.cuda.is_available", lambda: asked.append(os.environ[name]))
    assert inside("run", "-c", "gaussian", "--device", "cuda").returncode == 2 and asked == ["1"]


def test_a_card_is_free_again_when_no_worker_could_start_on_it(tmp_path):
    isolation = Isolation([], ["nosuchmodule"], Limits(), tmp_path)
    rows = [isolation.run_isolated(replace(cell(), device="cuda"), 0) for _ in range(2)]
    assert [row["status"] for row in rows] == ["lost", "lost"] and "nosuchmodule" in rows[1]["reason"]


def test_where_an_import_touched_the_card_a_cell_has_a_server_of_its_own(isolation, monkeypatch):
    warm = isolation.warm()
    with isolation._server_for_gpu() as server:
        assert server is warm
    monkeypatch.setattr(warm, "touched_cuda", True)
    with isolation._server_for_gpu() as server:
        assert server is not warm and server.process.poll() is None
    assert server.process.poll() is not None and warm.process.poll() is None
