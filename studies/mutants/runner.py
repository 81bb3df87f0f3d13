"""Runs mutants: a process that has imported torch, but not gradbench, is forked for each, and the child runs pytest.

The other modules that the tests need are imported beforehand, by the names loaded in a clean run.
"""

import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from studies.mutants.candidates import Mutant

QUIET = ("-x", "-q", "-rf", "--tb=line", "-W", "ignore", "-p", "no:cacheprovider", "-p", "no:unraisableexception")
WARM = ("torch", "numpy", "scipy", "safetensors.torch", "pytest")


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self.source = source

    def get_code(self, fullname: str) -> Any:
        return compile(self.source, self.path, "exec")


class Finder:
    """Finds one module as its mutated source; put first in `sys.meta_path`."""

    def __init__(self, file: str, source: str, root: Path) -> None:
        self.name = file.removesuffix(".py").replace("/", ".")
        self.path, self.source = str(root / file), source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=_Loader(name, self.path, self.source))


def _child(arguments: Sequence[str], finder: Finder | None, limit: int, output: int, after: Callable[[], None]) -> None:
    """Runs pytest and exits with its code. Never returns."""
    code = 70
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        os.dup2(output, 1)
        os.dup2(output, 2)
        if finder is not None:
            sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
        import pytest

        code = int(pytest.main([*QUIET, *arguments]))
        after()
    finally:
        sys.stdout.flush()
        os._exit(code)


class Run:
    """One running child, with at most `limit` seconds of processor time, and ten times that of wall time."""

    def __init__(
        self, arguments: Sequence[str], finder: Finder | None, limit: int, after: Callable[[], None] = lambda: None
    ) -> None:
        assert "gradbench" not in sys.modules, "a child would see gradbench as it was imported before"
        self.output, self.end = tempfile.TemporaryFile(), time.monotonic() + 10 * limit  # noqa: SIM115
        self.pid = os.fork()
        if self.pid == 0:
            _child(arguments, finder, limit, self.output.fileno(), after)

    def ended(self) -> int | None:
        """The exit code, or None while it runs; minus the signal's number if a signal ended it."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid and time.monotonic() > self.end:
            os.kill(self.pid, signal.SIGXCPU)
            pid, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status) if pid else None

    def text(self) -> str:
        """Its output."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def wait(self) -> int:
        """Waits for the exit code."""
        while (code := self.ended()) is None:
            time.sleep(0.05)
        return code


def warm_up(arguments: Sequence[str], limit: int) -> None:
    """A clean run in a child, which must pass. Its modules, except gradbench's and the tests', are imported here."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in WARM:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    with tempfile.NamedTemporaryFile("r") as names:
        run = Run(arguments, None, limit, lambda: _note(names.name))
        if code := run.wait():
            raise RuntimeError(f"the tests fail without a mutant, exit code {code}:\n{run.text()[-3000:]}")
        for name in names.read().split():
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.freeze()  # imports are never garbage: a child's collections skip them


def _note(place: str) -> None:
    own = ("gradbench", "tests", "studies", "_pytest", "conftest", "__main__")
    Path(place).write_text("\n".join(n for n in list(sys.modules) if n.split(".")[0] not in own))


def verdicts(
    mutants: Iterable[Mutant], stage: Callable[[str, Path], list[str]], root: Path, limit: int, jobs: int
) -> Iterable[tuple[Mutant, str, str]]:
    """(mutant, "killed", "timeout" or "survived", the test that failed), as they come."""
    waiting, at_work = list(mutants)[::-1], {}
    while waiting or at_work:
        while waiting and len(at_work) < jobs:
            mutant = waiting.pop()
            at_work[mutant] = Run(stage(mutant.file, root), Finder(mutant.file, mutant.source(root), root), limit)
        time.sleep(0.05)
        for mutant, run in list(at_work.items()):
            if (code := run.ended()) is not None:
                del at_work[mutant]
                said = [line for line in run.text().splitlines() if line.startswith(("FAILED", "ERROR"))]
                yield (
                    mutant,
                    {0: "survived", -signal.SIGXCPU: "timeout"}.get(code, "killed"),
                    (said or [f"exit {code}"])[0][:200],
                )
