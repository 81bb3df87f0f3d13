"""What a person sees while cells run: a bar with rate and time left, or a plain line now and then."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

EVERY = 30.0  # seconds between two plain lines


class Progress:
    """A bar on a terminal; elsewhere a line at most every 30 s; a line at the end on both. Used as a context."""

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

    def row(self, row: dict[str, Any]) -> None:
        """One cell has ended."""
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
    """Cells a second, or a minute where they are slower: "3.2 cells/s"."""
    per = done / seconds
    return f"{per:.1f} cells/s" if per >= 1 else f"{60 * per:.1f} cells/min"


def span(seconds: float) -> str:
    """A duration to two parts: "45 s", "2 min 10 s", "1 h 5 min"."""
    whole = round(seconds)
    for size, unit, part, small in ((3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"
