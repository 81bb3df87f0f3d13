"""A row: what is known of one cell and replicate, by column."""

import math
from collections.abc import Mapping
from typing import Any

from gradbench.bench.cell import Cell

Key = tuple[str, int]  # cell_id, replicate: what a row is found by


class Row(dict[str, Any]):
    """The columns of one row that are known; those that are not are absent. See `gradbench.bench.columns`."""

    @staticmethod
    def of(columns: Mapping[str, Any]) -> "Row":
        """The row of these columns, the empty ones left out."""
        return Row((name, value) for name, value in columns.items() if value is not None)

    @property
    def key(self) -> Key:
        """(cell_id, replicate)."""
        return self["cell_id"], self["replicate"]

    @property
    def cell(self) -> Cell:
        """What was measured."""
        return Cell.of(self)

    @property
    def status(self) -> str:
        """How the cell ended."""
        return self["status"]

    def text(self, name: str) -> str | None:
        """A column of text; None where it is not known."""
        value = self.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float | None:
        """A column of numbers; None where it is not known, or not finite."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)

    def whole(self, name: str) -> int | None:
        """A column of integers; None where it is not known."""
        value = self.number(name)
        return None if value is None else int(value)
