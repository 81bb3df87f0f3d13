"""Rows of a published run, found by the selectors that a command line takes."""

import statistics
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from gradbench.bench.load import load_rows
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block

Row = dict[str, Any]
SEEDS = range(5)


class Published:
    """The rows of one folder of results/published.

    A template names a cell as a command line does; a cell that was not measured is an error, so that no page can show
    a number that is in no row.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.rows = load_rows(folder)

    @cached_property
    def _by_cell(self) -> dict[str, Row]:
        return {row["cell_id"]: row for row in self.rows}

    def find(
        self, case: str, estimator: str, steps: int = 20, sampler: str = "ddim", dtype: str | None = None
    ) -> list[Row]:
        """The rows of that cell, one a seed; `KeyError` where there are none."""
        block = Block([case], [sampler], [estimator], [steps], seeds=list(SEEDS), dtype=dtype)
        found = [self._by_cell[p.cell["cell_id"]] for p in make_plan([block], 1) if p.cell["cell_id"] in self._by_cell]
        if not found:
            raise KeyError(f"{self.name} has no row of {case}, {sampler}, {steps} steps, {estimator}, {dtype}")
        return found

    def value(self, column: str, case: str, estimator: str, steps: int = 20, **rest: Any) -> float:
        """The median of a column over the seeds that ended well; `KeyError` where none has it."""
        found = [row[column] for row in self.find(case, estimator, steps, **rest) if row.get(column) is not None]
        if not found:
            raise KeyError(f"{self.name}: no {column} of {case}, {steps} steps, {estimator}, {rest}")
        return statistics.median(found)

    def order(self, column: str, case: str, estimator: str, steps: Sequence[int], **rest: Any) -> float:
        """p of error ~ N^-p, between the two numbers of steps."""
        from math import log

        first, last = (self.value(column, case, estimator, n, **rest) for n in steps)
        return log(first / last) / log(steps[1] / steps[0])

    def count(self, status: str | None = None) -> int:
        """How many rows there are, or ended so."""
        return sum(status in (None, row["status"]) for row in self.rows)

    def one(self, column: str) -> Any:
        """What all rows have in a column, such as the version that measured them."""
        (value,) = {row.get(column) for row in self.rows if row.get("status") == "ok"}
        return value

    def all(self, column: str) -> Iterator[Any]:
        """The column of all rows that ended well."""
        return (row[column] for row in self.rows if row.get("status") == "ok" and row.get(column) is not None)
