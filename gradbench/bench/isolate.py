"""A fresh process per cell, whose death is a row: `run_isolated` never raises.

The process is forked from a warm server that has imported torch and never touched CUDA, whose context no fork survives:
only the child sees its card. If importing what a plan needs touches CUDA, every cell on a card has its own server.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gradbench.bench.cell import Cell
from gradbench.bench.suite import USUAL
from gradbench.data import Columns
from gradbench.measure import nvidia
from gradbench.problems.folders import folders

LOG_TAIL = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """Limits of a worker.

    timeout in seconds; threads, None for the case's own; memory in bytes over the idle worker's, or None.
    """

    timeout: float = 600.0
    threads: int | None = None
    memory: int | None = None


class Server:
    """A warm server process and the socket to it."""

    def __init__(self, cases: Sequence[str], preload: Sequence[str], threads: int | None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own = {"OMP_NUM_THREADS": str(threads or 1), "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gradbench.bench.server", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **own, **nvidia.BY_DRIVER},
            start_new_session=True,
        )
        theirs.close()
        self.channel = ours
        self._lock = threading.Lock()
        self.channel.send(json.dumps({"cases": list(cases), "preload": list(preload)}).encode())
        said = self.channel.recv(16)
        self.touched_cuda = said.endswith(b"cuda")
        if not said.startswith(b"ready"):
            stderr = self.process.stderr.read().decode(errors="replace") if self.process.stderr else ""
            last = next((line for line in reversed(stderr.splitlines()) if line.strip()), "it said nothing")
            raise RuntimeError(f"the worker could not start: {last}")

    def submit(self, request: Columns, descriptors: list[int]) -> None:
        """Sends a request with its pipe and its log."""
        with self._lock:
            socket.send_fds(self.channel, [json.dumps(request).encode()], descriptors)

    def close(self) -> None:
        """Ends the server."""
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()


class GpuSlots:
    """One cell per GPU: `take` waits for a free one, or for a given place, and `give` frees it."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self._gpus = list(gpus) or ["0"]
        self._free, self._changed = set(self._gpus), threading.Condition()

    def take(self, place: str = "") -> str:
        """A GPU, reserved for this cell."""
        wanted = {self._gpus[int(place)]} if place else set(self._gpus)
        with self._changed:
            self._changed.wait_for(lambda: wanted & self._free)
            gpu = min(wanted & self._free, key=self._gpus.index)
            self._free.discard(gpu)
            return gpu

    def give(self, gpu: str) -> None:
        """Marks the GPU as free."""
        with self._changed:
            self._free.add(gpu)
            self._changed.notify_all()


@dataclass
class Isolation:
    """Runs each cell in its own process. `close` ends the rest.

    keep, traces, curves: folders for kept references, traces and the curves of tasks, or None.
    """

    cases: list[str]
    preload: list[str]
    limits: Limits
    logs: Path
    keep: Path | None = None
    traces: Path | None = None
    curves: Path | None = None
    _server: Server | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _groups: set[int] = field(default_factory=lambda: set[int]())
    _gpus: "GpuSlots" = field(default_factory=lambda: GpuSlots(nvidia.visible()))

    def warm(self) -> Server:
        """The shared server, started when first needed."""
        with self._lock:
            if self._server is None or self._server.process.poll() is not None:
                self._server = Server(self.cases, self.preload, self.limits.threads)
            return self._server

    def curve(self, name: str) -> Path | None:
        """The file of a task's curve, by the name of its log."""
        return self.curves and self.curves / f"{name}.jsonl"

    def run_isolated(self, cell: Cell, replicate: int, passes: Sequence[str] = USUAL) -> Columns:
        """The row of one cell: its measurements, or how its worker died."""
        log = self.logs / f"{cell.id}-{replicate}.txt"
        try:
            if cell.device == "cpu":
                return self._run(self.warm(), cell, passes, log)
            return self._on_gpu(cell, passes, log)
        except Exception as failure:
            return {"status": "lost", "phase": "start", "reason": f"{type(failure).__name__}: {failure}"}

    def _on_gpu(self, cell: Cell, passes: Sequence[str], log: Path) -> Columns:
        """One cell alone on a GPU: a free one, or the one it names; with the state of the card before."""
        gpu = self._gpus.take(cell.device.partition(":")[2])
        try:
            with self._server_for_gpu() as server:
                before = nvidia.idle(gpu)
                return before | self._run(server, replace(cell, device="cuda"), passes, log, gpu)
        finally:
            self._gpus.give(gpu)

    @contextlib.contextmanager
    def _server_for_gpu(self) -> Iterator[Server]:
        """The warm server, or one for this cell alone if forks of the warm one cannot use a GPU."""
        server = self.warm()
        if not server.touched_cuda:
            yield server
            return
        own = Server(self.cases, self.preload, self.limits.threads)
        try:
            yield own
        finally:
            own.close()

    def _run(self, server: Server, cell: Cell, passes: Sequence[str], log: Path, gpu: str | None = None) -> Columns:
        read, write = os.pipe()
        with open(read, "rb", buffering=0) as answer, open(log, "w+b") as output:
            killed = _oom_kills()
            limits = {"threads": self.limits.threads, "memory": self.limits.memory}
            named = {"keep": self.keep, "traces": self.traces, "curve": self.curve(log.stem)}
            places = {name: place and str(place) for name, place in named.items()}
            request = {"cell": cell.identity, "passes": list(passes), "gpu": gpu, **places, **limits}
            try:
                server.submit(request, [write, output.fileno()])
            finally:
                os.close(write)
            said = self._listen(answer.fileno())
            said["oom_killed"] = _oom_kills() > killed
            row = self._classify(said)
            if row["status"] == "oom":
                row |= self._predicted(server, cell)
            if row["status"] in ("ok", "skip", "diverged") or output.seek(0, os.SEEK_END) == 0:
                log.unlink(missing_ok=True)
            else:
                _keep_tail(log)
        return row

    def _predicted(self, server: Server, cell: Cell) -> Columns:
        """The memory that an out-of-memory cell would have needed, from shapes alone, in another process."""
        read, write = os.pipe()
        with open(read, "rb", buffering=0) as answer, open(os.devnull, "wb") as nowhere:
            request = {"cell": cell.identity, "threads": 1, "memory": None, "predict": True}
            try:
                server.submit(request, [write, nowhere.fileno()])
            finally:
                os.close(write)
            return self._listen(answer.fileno()).get("row", {})

    def _listen(self, descriptor: int) -> Columns:
        """All messages of the worker, until it ends or its time is up; then its group is killed."""
        said: Columns = {}
        deadline, buffer = time.monotonic() + self.limits.timeout, b""
        try:
            while "rc" not in said:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                    said["timeout"] = True
                    break
                data = os.read(descriptor, 1 << 16)
                if not data:
                    break
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    with contextlib.suppress(ValueError):  # half a line from a worker that died writing it
                        said |= json.loads(line)
                if "pid" in said:
                    self._groups.add(said["pid"])
        finally:
            if "pid" in said:
                _kill_group(said["pid"])
                self._groups.discard(said["pid"])
        return said

    def _classify(self, said: Columns) -> Columns:
        phase = said.get("phase", "import")
        if "row" in said:
            return said["row"]
        if said.get("timeout"):
            return {"status": "timeout", "phase": phase, "reason": f"longer than {self.limits.timeout:g} s"}
        if "rc" not in said:
            return {"status": "lost", "phase": phase, "reason": "the worker's supervisor vanished"}
        if said["rc"] < 0:
            name = signal.Signals(-said["rc"]).name
            if name == "SIGKILL" and said["oom_killed"]:
                return {"status": "oom", "phase": phase, "reason": "killed by the system for memory (host)"}
            return {"status": "crash", "phase": phase, "reason": f"killed by {name}"}
        return {"status": "crash", "phase": phase, "reason": f"exit code {said['rc']} without a row"}

    def close(self) -> None:
        """Kills running workers and ends the server."""
        for group in list(self._groups):
            _kill_group(group)
        if self._server is not None:
            self._server.close()


def _oom_kills() -> int:
    """The number of processes killed by the kernel for memory in this control group; 0 if unknown."""
    try:
        lines = Path("/sys/fs/cgroup/memory.events").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    except (OSError, StopIteration, ValueError):
        return 0


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _keep_tail(log: Path) -> None:
    data = log.read_bytes()
    if len(data) > LOG_TAIL:
        log.write_bytes(data[-LOG_TAIL:])


def run_isolated(cell: Cell, limits: Limits, logs: Path | None = None) -> Columns:
    """The row of one cell, run in its own process: its measurements, or how it died. Never raises.

    cell: one of a plan. logs: a folder for the tail of a failed worker's output; by default a temporary one.
    """
    with tempfile.TemporaryDirectory() as folder:
        isolation = Isolation([str(path) for path in folders()], [], limits, logs or Path(folder))
        try:
            return isolation.run_isolated(cell, 0)
        finally:
            isolation.close()
