"""A row: the known columns of one cell and replicate."""

import math
from collections.abc import Mapping
from typing import Any

from gradbench.bench.cell import Cell
from gradbench.bench.columns import BY_NAME

Key = tuple[str, int]  # cell_id, replicate: the key of a row


class Row(dict[str, Any]):
    """The known columns of one row; unknown ones are absent. See `gradbench.bench.columns`.

    Whatever reads one raises `KeyError` for a name that is no column.
    """

    @staticmethod
    def of(columns: Mapping[str, Any]) -> "Row":
        """The row of these columns, without empty ones."""
        return Row((name, value) for name, value in columns.items() if value is not None)

    def get(self, name: str, default: Any = None, /) -> Any:
        """The value of a column; `default` if unknown."""
        if name not in BY_NAME:
            raise KeyError(f"a row has no column {name!r}: see gradbench.bench.columns")
        return super().get(name, default)

    @property
    def key(self) -> Key:
        """(cell_id, replicate)."""
        return self["cell_id"], self["replicate"]

    @property
    def cell(self) -> Cell:
        """The measured cell."""
        return Cell.of(self)

    @property
    def status(self) -> str:
        """How the cell ended."""
        return self["status"]

    def text(self, name: str) -> str | None:
        """A column of text; None if unknown."""
        value = self.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float | None:
        """A column of numbers; None if unknown or not finite."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)

    def whole(self, name: str) -> int | None:
        """A column of integers; None if unknown."""
        value = self.number(name)
        return None if value is None else int(value)
