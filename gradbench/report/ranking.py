"""The table beside the answer: every estimator against one reference, for each target, with its price."""

from dataclasses import dataclass

from gradbench.analysis.cells import TARGETS
from gradbench.analysis.standings import Standing, Verdict, cheapest
from gradbench.estimators.catalogue import ESTIMATORS


@dataclass(frozen=True)
class Line:
    """An estimator's standings by target, and its memory and time over the least of each setting (geometric means)."""

    estimator: str
    standings: dict[str, Standing]
    named: bool
    memory: float | None
    time: float | None


def ranking(judged: list[Verdict], reference: str) -> list[Line]:
    """The most accurate first, among equals the leanest."""
    mine = {v.target: v for v in judged if v.reference == reference}
    names = list(dict.fromkeys(s.estimator for v in mine.values() for s in v.standings))
    within = max((v.settings for v in mine.values()), key=len, default=())
    memory, time = (dict(cheapest(within, names, column)) for column in ("peak_bytes", "time_s"))
    lines = []
    for name in names:
        standings = {t: s for t, v in mine.items() for s in v.standings if s.estimator == name}
        named = any(s.estimator == name for v in mine.values() for s in v.accurate)
        lines.append(Line(name, standings, named, memory.get(name), time.get(name)))
    return sorted(lines, key=_order)


def targets(judged: list[Verdict], reference: str) -> list[str]:
    """The targets for which there is a verdict."""
    found = {v.target for v in judged if v.reference == reference}
    return [target for target in TARGETS if target in found]


def meaning(estimator: str) -> str:
    """What the catalogue says an estimator does; empty for one that it does not know."""
    return ESTIMATORS[estimator].summary if estimator in ESTIMATORS else ""


def _order(line: Line) -> tuple:
    shares = [s.share for s in line.standings.values()]
    asked = sum(s.asked for s in line.standings.values())
    return not line.named, -sum(shares) / len(shares), -asked, line.memory or 0.0
