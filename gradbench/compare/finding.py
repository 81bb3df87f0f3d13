"""The result of comparing two sides: a `Finding` per mark, and the `Comparison` that holds them all."""

from collections import Counter
from dataclasses import dataclass, field

from gradbench.bench.row import Row
from gradbench.exits import Exit

METRICS = ("status", "gradient", "nfe", "memory", "time")
MARKS = {
    "!": "newly failing",
    "+": "worse",
    "~": "suspicious",
    "-": "better",
    "*": "fixed",
    "x": "not comparable",
}
REGRESSIONS = ("!", "+")


@dataclass(frozen=True)
class Finding:
    """One difference of one cell.

    metric: of `METRICS`. column: of the rows. mark: of `MARKS`. cell: a row with the cell's identity. base, new: values
    in the column's unit. ratio: NEW over BASE. p: what the mark rests on if it is a test. note: why, in words.
    """

    metric: str
    column: str
    mark: str
    cell: Row
    base: float | str | None = None
    new: float | str | None = None
    ratio: float | None = None
    p: float | None = None
    note: str = ""

    @property
    def regression(self) -> bool:
        """Whether this alone makes the comparison fail."""
        return self.mark in REGRESSIONS


def changed(metric: str, column: str, cell: Row, base: float, new: float, mark: str = "") -> Finding:
    """The finding that a number changed; a larger one is worse if no mark is given."""
    return Finding(metric, column, mark or ("+" if new > base else "-"), cell, base, new, new / base if base else None)


@dataclass(frozen=True)
class Origin:
    """Where the rows of a side come from: how many cells and rows, and the code, torch and machines, each once."""

    cells: int
    rows: int
    gradbench: tuple[str, ...]
    torch: tuple[str, ...]
    git_commit: tuple[str, ...]
    machine_class: tuple[str, ...]


@dataclass
class Comparison:
    """All findings of two sides, and what they rest on.

    base, new: where each side comes from. interleaved: whether the sides were measured in turn. cells: a
    row of each cell that both have; missing, added: of each only in BASE, only in NEW. compared: how many cells each
    metric was compared in. detectable: the smallest slowdown that would have been found, by cell_id.
    """

    base: Origin
    new: Origin
    factor: float
    interleaved: bool = False
    findings: list[Finding] = field(default_factory=list)
    cells: list[Row] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)
    added: list[Row] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    detectable: dict[str, float] = field(default_factory=dict)

    @property
    def exit_code(self) -> Exit:
        """1 for a regression, 4 if nothing could be compared, else 0."""
        if any(finding.regression for finding in self.findings):
            return Exit.FAILED
        return Exit.OK if any(self.compared.values()) else Exit.NOTHING

    @property
    def verdict(self) -> str:
        """The exit code in a word or two."""
        words = {Exit.OK: "no regression", Exit.FAILED: "regression", Exit.NOTHING: "nothing comparable"}
        return words[self.exit_code]

    def marked(self, *marks: str) -> list[Finding]:
        """The findings with one of these marks, in the order of the marks."""
        return [finding for mark in marks for finding in self.findings if finding.mark == mark]

    def refused(self) -> dict[tuple[str, str], list[Row]]:
        """The cells that are not comparable, each once, by metric and reason."""
        gathered: dict[tuple[str, str], dict[str, Row]] = {}
        for finding in self.marked("x"):
            gathered.setdefault((finding.metric, finding.note), {})[finding.cell["cell_id"]] = finding.cell
        return {why: list(cells.values()) for why, cells in gathered.items()}
