"""The tables beside an answer: every estimator against one reference, and the most accurate per case."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

from gradbench.analysis import words
from gradbench.analysis.cells import Group
from gradbench.analysis.errors import Reading, read
from gradbench.analysis.standings import Contest, Standing, cheapest
from gradbench.problems.spec import REFERENCES, TARGETS

TIE = 1.01


@dataclass(frozen=True)
class Line:
    """An estimator's standings by target, and its memory and time over each setting's least (geometric means)."""

    estimator: str
    standings: dict[str, Standing]
    named: bool
    memory: float | None
    time: float | None


def ranking(contests: list[Contest], reference: str) -> list[Line]:
    """Most accurate first, leanest first among equals."""
    mine = {c.target: c for c in contests if c.reference == reference}
    names = list(dict.fromkeys(s.estimator for c in mine.values() for s in c.standings))
    within = max((c.settings for c in mine.values()), key=len, default=())
    memory, time = (dict(cheapest(within, names, column)) for column in ("peak_bytes", "time_s"))
    lines = []
    for name in names:
        standings = {t: s for t, c in mine.items() for s in c.standings if s.estimator == name}
        named = any(s.estimator == name for c in mine.values() for s in c.accurate)
        lines.append(Line(name, standings, named, memory.get(name), time.get(name)))
    return sorted(lines, key=_order)


@dataclass(frozen=True)
class Winner:
    """The cell closest to one reference on one case, the fastest among equals; `leanest` needs the least memory.

    Two cells are equal when their errors, raised to the floor, differ by less than 1 %. `equals` counts the estimators.
    """

    case: str
    reference: str
    target: str
    cell: Group
    reading: Reading
    leanest: Group
    equals: int

    @property
    def precision(self) -> str:
        """Its error in words, not a number below the accuracy of the reference."""
        if self.reading.mark == "value":
            return f"error {words.error(self.reading.error)}"
        if self.reading.mark == "exact":
            return "exact to the last bit"
        return f"error below {words.error(self.reading.shown)}, the floor of the reference"


def winners(found: list[Group]) -> list[Winner]:
    """One winner per (case, reference, target) that was measured, in the order of the cases.

    The sampler's and the expected gradient differ for every number of steps: there, only the largest number competes.
    If the sampler draws no noise the two coincide, and the expected gradient is not repeated.
    """
    won: dict[tuple[str, str, str], Winner] = {}
    rivals_of: dict[str, list[Group]] = {}
    for cell in found:
        rivals_of.setdefault(cell.case, []).append(cell)
    for case, rivals in rivals_of.items():
        for reference, target in itertools.product(REFERENCES, TARGETS):
            winner = _winner(rivals, reference, target)
            twin = won.get((case, "sampler", target)) if reference == "expected" else None
            if winner and not (twin and (twin.cell, twin.reading) == (winner.cell, winner.reading)):
                won[case, reference, target] = winner
    return list(won.values())


def _order(line: Line) -> tuple[Any, ...]:
    shares = [s.share for s in line.standings.values()]
    asked = sum(s.asked for s in line.standings.values())
    return not line.named, -sum(shares) / len(shares), -asked, line.memory or 0.0


def _winner(rivals: list[Group], reference: str, target: str) -> Winner | None:
    readings = [(cell, reading) for cell in rivals if (reading := read(cell, reference, target))]
    readings = [(cell, reading) for cell, reading in readings if reading.mark != "not finite"]
    if reference != "flow":
        most = max((cell.steps or 0 for cell, _ in readings), default=0)
        readings = [(cell, reading) for cell, reading in readings if (cell.steps or 0) == most]
    if not readings:
        return None
    bound = min(reading.shown for _, reading in readings) * TIE
    equals = [(cell, reading) for cell, reading in readings if reading.shown <= bound]
    cell, reading = min(equals, key=lambda pair: _cost(pair[0], "time_s"))
    leanest = min((rival for rival, _ in equals), key=lambda rival: _cost(rival, "peak_bytes"))
    if _cost(leanest, "peak_bytes") >= _cost(cell, "peak_bytes"):
        leanest = cell
    estimators = {rival.estimator for rival, _ in equals}
    return Winner(cell.case, reference, target, cell, reading, leanest, len(estimators))


def _cost(cell: Group, column: str) -> float:
    cost = cell.median(column)
    return math.inf if cost is None else cost
