"""A budget of time: which cells are started, by their predicted end. No torch.

The prediction for a cell is, in this order: the time of a row of the same cell; the time per step of rows of the same
estimator on the same network; the time per step of any row on that network; and `seconds` of its suite. It is zero if
nothing is known, so that the first cell of a network informs the others.
"""

import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gradbench.bench.plan import Planned
from gradbench.bench.row import Row

NETWORK = ("case", "case_params", "dtype", "device")
SPENT = ("ok", "diverged", "oom", "timeout", "error")  # statuses of cells whose time predicts others


class Budget:
    """Seconds from now within which cells must end. rows: known ones, from this machine."""

    def __init__(self, seconds: float, rows: Iterable[Row] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self._clock = seconds, clock
        self._end = clock() + seconds
        self._known: dict[Any, list[float]] = defaultdict(list)
        self._lock = threading.Lock()
        for row in rows:
            self.learn(row)

    def learn(self, row: Row) -> None:
        """Uses the time of a row to predict similar cells."""
        took, steps = row.get("wall_s"), row.get("steps")
        if row.get("status") in SPENT and took is not None and steps:
            with self._lock:
                self._known[row["cell_id"]].append(took)
                for key in _keys(row):
                    self._known[key].append(took / steps)

    def seconds_of(self, item: Planned) -> float:
        """The predicted time of a cell."""
        with self._lock:
            if same := self._known.get(item.cell.id):
                return statistics.median(same)
            for key in _keys(item.cell):
                if alike := self._known.get(key):
                    return statistics.median(alike) * item.cell.steps
        return item.seconds or 0.0

    def admits(self, item: Planned) -> bool:
        """Whether a cell started now is predicted to end in time; a skip takes none."""
        left = self._end - self._clock()
        return item.skip is not None or left > 0 and self.seconds_of(item) <= left


def _keys(cell: Mapping[str, Any]) -> list[Any]:
    """The keys of cells with similar times per step: network, sampler and estimator; and the network alone."""
    network = repr([cell.get(name) for name in NETWORK])
    own = repr([cell.get(name) for name in ("sampler", "sampler_params", "estimator", "estimator_params", "targets")])
    return [(network, own), network]
