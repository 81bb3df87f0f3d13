"""The warm worker: a process that has imported torch and is forked for every cell.

    python -m gradbench.bench.server SOCKET_FD

It reads one JSON request per message from its socket, {"cell", "passes", "threads", "memory", "keep", "traces",
"curve", "predict", "gpu"}, with two file descriptors: a pipe for the answer and a log for stdout and stderr. It forks a
supervisor, which forks the worker and waits for it, so that a worker may die of anything. The lines sent down the pipe
are {"pid"} of the group, {"phase"} as phases begin, {"row"}, and last {"rc"}. End of file on the socket, which signals
the death of the parent, ends the server; each supervisor watches the parent too, and whether anyone still reads its
pipe.
"""

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any


def serve(channel: socket.socket) -> None:
    """Answers requests until the other end is closed."""
    hello = _receive(channel)
    if hello is None:
        return
    request, _ = hello
    for folder in request["cases"]:
        from gradbench.problems.folders import add_folder

        add_folder(folder)
    from gradbench.bench.worker import preload
    from gradbench.measure.nvidia import context_in_this_process

    preload(request["preload"])
    gc.collect()
    gc.freeze()  # imports are never garbage: a child's collections skip them
    channel.send(b"ready, cuda" if context_in_this_process() else b"ready")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are reaped by the system
    while (message := _receive(channel)) is not None:
        request, descriptors = message
        if os.fork() == 0:
            channel.close()
            _supervise(request, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    data, descriptors, _, _ = socket.recv_fds(channel, 1 << 20, 2)
    return (json.loads(data), descriptors) if data else None


def _supervise(request: dict[str, Any], answer: int, log: int) -> None:
    """Forks the worker, waits for it, reports how it ended; leads its process group. Never returns."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)
    try:
        _say(answer, {"pid": os.getpid()})
    except BrokenPipeError:  # the cell's time was up before it began
        os._exit(0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    server = os.getppid()
    child = os.fork()
    if child == 0:
        _work(request, answer)
    threading.Thread(target=_die_with, args=(server, answer), daemon=True).start()
    _, status = os.waitpid(child, 0)
    os.write(answer, b"\n")  # ends a line that the worker may have died writing
    _say(answer, {"rc": os.waitstatus_to_exitcode(status)})
    os._exit(0)


def _work(request: dict[str, Any], answer: int) -> None:
    """Measures the cell, or predicts its memory, and sends its row. Never returns."""
    from gradbench.bench.cell import Cell
    from gradbench.bench.predictions import predicted_bytes
    from gradbench.bench.worker import How, run_cell

    code = 1
    try:
        if request.get("gpu") is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = request["gpu"]  # read when CUDA is first touched, only in this child
        if request["memory"]:
            _limit_memory(request["memory"])
        cell = Cell.of(request["cell"])
        if request.get("predict"):
            row = predicted_bytes(cell, anew=True)
        else:
            named = ("keep", "traces", "curve")
            places = {name: Path(place) if (place := request.get(name)) else None for name in named}
            how = How(request["passes"], request["threads"], **places)
            row = run_cell(cell, lambda name: _say(answer, {"phase": name}), how)
        _say(answer, {"row": row})
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _limit_memory(allowed: int) -> None:
    """Lets this process allocate `allowed` bytes more than it has now; further allocations fail."""
    with open("/proc/self/status") as status:
        now = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + allowed, now + allowed))


def _die_with(server: int, answer: int) -> None:
    """Ends the whole group when the server is gone or the answer's reader is, so that no child outlives its parent.

    A parent whose time limit passed before it read the group's pid cannot kill the group, and closes its end.
    """
    pipe = select.poll()
    pipe.register(answer, 0)  # an error, the closing of the other end, is always told
    while os.getppid() == server and not pipe.poll(500):
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(0, signal.SIGKILL)


def _say(descriptor: int, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    serve(socket.socket(fileno=int(sys.argv[1])))
