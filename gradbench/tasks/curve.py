"""The curve of a task: a long table on disk (update, metric, value), and the state from which a killed task goes on."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Point(NamedTuple):
    """One line of the table: the value of a metric before an update."""

    update: int
    metric: str
    value: float


def read_curve(path: Path) -> list[Point]:
    """Every line; a torn last line, left by a killed writer, is ignored."""
    return list(_lines(path.read_bytes())) if path.exists() else []


def _lines(content: bytes) -> Iterator[Point]:
    for line in content.splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield Point(**json.loads(line))


@dataclass(frozen=True)
class Curve:
    """The table in `path`, `<cell_id>-<replicate>.jsonl`, with the state beside it; None keeps nothing.

    code: the fingerprint of the source; a state that other source left is not resumed.
    """

    path: Path | None
    code: str = ""

    @property
    def _kept(self) -> Path:
        assert self.path is not None
        return self.path.with_suffix(".pt")

    def resume(self) -> dict[str, Any] | None:
        """The state that was last kept, with the table cut to what came before it; None to begin anew."""
        if self.path is None:
            return None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = torch.load(self._kept, weights_only=True) if self._kept.exists() else None
        if state is not None and state["code"] != self.code:
            state = None
        points = [] if state is None else [p for p in read_curve(self.path) if p.update < state["update"]]
        replacement = self.path.with_suffix(f".{os.getpid()}")
        replacement.write_text("".join(json.dumps(point._asdict()) + "\n" for point in points))
        replacement.replace(self.path)
        return state

    def write(self, update: int, values: Mapping[str, float]) -> None:
        """Appends the values of metrics before an update."""
        if self.path is not None:
            with open(self.path, "a") as table:
                table.writelines(
                    json.dumps({"update": update, "metric": name, "value": value}) + "\n"
                    for name, value in values.items()
                )

    def keep(self, state: Mapping[str, Any]) -> None:
        """Replaces the kept state at once."""
        if self.path is not None:
            written = self._kept.with_suffix(f".{os.getpid()}")
            torch.save({**state, "code": self.code}, written)
            written.replace(self._kept)

    def close(self) -> None:
        """Removes the state: the curve is complete."""
        if self.path is not None:
            self._kept.unlink(missing_ok=True)
