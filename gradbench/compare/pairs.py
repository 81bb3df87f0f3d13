"""The cells that two sides have in common, found by `cell_id`."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradbench.analysis.cells import worst
from gradbench.analysis.rows import median, text
from gradbench.bench.row import Row


@dataclass(frozen=True)
class Pair:
    """One cell on both sides: all its rows, one per process."""

    base: tuple[Row, ...]
    new: tuple[Row, ...]

    @property
    def cell(self) -> Row:
        """A row with the cell's identity."""
        return self.new[0]

    @property
    def measured(self) -> "Pair | None":
        """This pair with the rows that succeeded; None if a side has none."""
        base, new = (tuple(row for row in side if row.get("status") == "ok") for side in (self.base, self.new))
        return Pair(base, new) if base and new else None

    @property
    def statuses(self) -> tuple[str, str]:
        """The worst status of each side."""
        return worst(self.base), worst(self.new)

    def medians(self, column: str) -> tuple[float | None, float | None]:
        """The median of a column on each side, None if a side does not have it."""
        return median(row.get(column) for row in self.base), median(row.get(column) for row in self.new)

    def both(self, column: str) -> tuple[float, float] | None:
        """`medians` if both sides have the column, else None."""
        base, new = self.medians(column)
        return None if base is None or new is None else (base, new)

    def value(self, column: str) -> tuple[str, str]:
        """A column that is the same for all rows of a side, as text."""
        return text(self.base[0].get(column)), text(self.new[0].get(column))


def pair(base: Sequence[Row], new: Sequence[Row]) -> tuple[list[Pair], list[Row], list[Row]]:
    """The pairs in NEW's order, and a row of each cell only in BASE, only in NEW."""
    sides = [_by_cell(side) for side in (base, new)]
    pairs = [Pair(tuple(sides[0][key]), tuple(rows)) for key, rows in sides[1].items() if key in sides[0]]
    missing, added = ([a[key][0] for key in a if key not in b] for a, b in (sides, reversed(sides)))
    return pairs, missing, added


def _by_cell(rows: Sequence[Row]) -> dict[str, list[Row]]:
    gathered: dict[str, list[Row]] = {}
    for row in rows:
        gathered.setdefault(row["cell_id"], []).append(row)
    return gathered
