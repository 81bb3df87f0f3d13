"""Progress for a person while a command works on a few long items: a live line, or a plain line now and then."""

import sys
import time
from collections.abc import Callable
from typing import Any

from gradbench.bench.progress import span

EVERY = 10.0  # seconds between two plain lines


class Working:
    """A live line with the time on a terminal's stderr; elsewhere a line at most every 10 s. A context manager.

    doing: the verb, "predicting". total: the number of items.
    """

    def __init__(self, doing: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.doing, self.total, self.clock = doing, total, clock
        self.done, self._item = 0, ""
        self._live: Any = None
        self._start = self._said = clock()

    def __enter__(self) -> "Working":
        if sys.stderr.isatty() and self.total:
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._live = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._live.add_task(self.doing, total=None)
            self._live.start()
        return self

    def item(self, name: str) -> None:
        """Begins the next item."""
        self.done, self._item = self.done + 1, name
        self.part("")

    def part(self, what: str) -> None:
        """Begins a part of the item."""
        text = f"{self.doing} {self._item} ({self.done} of {self.total}){what and ': '}{what}"
        if self._live is not None:
            self._live.update(self._task, description=text)
        elif self.clock() - self._said >= EVERY:
            self._said = self.clock()
            print(f"{text}, after {span(self._said - self._start)}", file=sys.stderr, flush=True)

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.stop()
