"""Progress for a person: a live line on a terminal, elsewhere a plain line now and then."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from gradbench.bench.row import Row

EVERY = 30.0  # seconds between two plain lines


class Doing:
    """The current part of a long verb, on stderr: a live line on a terminal, elsewhere one every 30 s.

    A context manager. Nothing goes to stdout, which may be a pipe or hold JSON.
    """

    def __init__(self, verb: str, total: int | None = None, every: float = EVERY) -> None:
        self.verb, self.total, self.every = verb, total, every
        self.done, self.text = 0, ""
        self._bar: Any = None
        self._over = threading.Event()

    def __enter__(self) -> "Doing":
        self._start = time.monotonic()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Bar
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            # printed text goes above the live line, but only where it would be seen
            above, console = sys.stdout.isatty(), Console(stderr=True)
            self._bar = Bar(*columns, console=console, transient=True, redirect_stdout=above, redirect_stderr=False)
            self._task = self._bar.add_task(self.verb, total=None)
            self._bar.start()
        else:
            threading.Thread(target=self._lines, daemon=True).start()
        return self

    def at(self, text: str) -> None:
        """Begins the next part."""
        self.done, self.text = self.done + 1, text
        if self._bar is not None:
            self._bar.update(self._task, description=self._said())

    def _said(self) -> str:
        if not self.done:
            return self.verb
        return f"{self.verb}: {self.done}" + (f" of {self.total}" if self.total else "") + f", {self.text}"

    def _lines(self) -> None:
        while not self._over.wait(self.every):
            print(f"{self._said()}, after {span(time.monotonic() - self._start)}", file=sys.stderr, flush=True)

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        if self._bar is not None:
            self._bar.stop()


class Progress:
    """A bar on a terminal, elsewhere a line at most every 30 s; a final line on both. A context manager."""

    def __init__(self, total: int, kept: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.kept, self.clock = total, kept, clock
        self.counts: Counter[str] = Counter()
        self._bar: Any = None
        self._start = self._said = clock()

    def __enter__(self) -> "Progress":
        self._start = self._said = self.clock()
        if sys.stderr.isatty() and self.total:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            rate, text = TextColumn("{task.fields[rate]}"), TextColumn("{task.description}", markup=False)
            columns = (BarColumn(20), MofNCompleteColumn(), rate, TimeRemainingColumn(), text)
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=self.total, rate="")
            self._bar.start()
        return self

    def row(self, row: Row) -> None:
        """Records the end of one cell."""
        self.counts[row["status"]] += 1
        done, now = sum(self.counts.values()), self.clock()
        spent = max(now - self._start, 1e-9)
        if self._bar is not None:
            text = f"{row['case']} {row['sampler']} {row['steps']} {row['estimator']}: {row['status']}"
            self._bar.update(self._task, advance=1, description=text, rate=rate(done, spent))
        elif now - self._said >= EVERY and done < self.total:
            self._said = now
            left = spent / done * (self.total - done)
            print(f"{done} of {self.total} cells, {rate(done, spent)}, {span(left)} left", file=sys.stderr, flush=True)

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
        said = ", ".join(f"{count} {status}" for status, count in self.counts.items()) or "none to run"
        kept = f"; {self.kept} had rows already" if self.kept else ""
        print(f"{sum(self.counts.values())} of {self.total} cells: {said}{kept}", file=sys.stderr)


def rate(done: int, seconds: float) -> str:
    """Cells per second, or per minute if slower: "3.2 cells/s"."""
    per = done / seconds
    return f"{per:.1f} cells/s" if per >= 1 else f"{60 * per:.1f} cells/min"


def span(seconds: float) -> str:
    """A duration in two units: "45 s", "2 min 10 s", "1 h 5 min"."""
    whole = round(seconds)
    for size, unit, part, small in ((3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"
