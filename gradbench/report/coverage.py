"""What ran and what did not: the coverage matrix, and failures and skips with their reasons."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from gradbench.analysis.cells import SEVERITY, Cell
from gradbench.analysis.numbers import text


@dataclass(frozen=True)
class Status:
    """How a status is shown: a letter beside its colour, and words."""

    letter: str
    words: str


STATUSES = {
    "ok": Status("✓", "ended well"),
    "skip": Status("–", "skipped"),
    "oom": Status("M", "out of memory"),
    "timeout": Status("T", "out of time"),
    "diverged": Status("D", "diverged"),
    "error": Status("E", "error"),
    "crash": Status("C", "crashed"),
    "lost": Status("L", "lost"),
}
UNKNOWN = Status("?", "unknown status")


def status_of(name: str) -> Status:
    """Letter and words of a status; a question mark for one that the contract does not know."""
    return STATUSES.get(name, UNKNOWN)


def counts(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """How many rows ended in which status, the good ones first."""
    found = Counter(text(row.get("status")) or "lost" for row in rows)
    return sorted(found.items(), key=lambda item: _order(item[0]))


def matrix(cells: list[Cell], estimators: list[str], cases: list[str]) -> list[tuple[str, list[list[tuple[str, int]]]]]:
    """For each estimator, for each case: the counts of its rows by status; empty where nothing was asked."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in cells:
        rows.setdefault((cell.estimator, cell.case), []).extend(cell.rows)
    return [(estimator, [counts(rows.get((estimator, case), [])) for case in cases]) for estimator in estimators]


def failures(cells: list[Cell]) -> list[dict[str, Any]]:
    """What did not end well, one line a (status, estimator, case, reason), the gravest first and skips last."""
    lines: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for cell in cells:
        for row in cell.rows:
            status = text(row.get("status")) or "lost"
            if status == "ok":
                continue
            phase, reason = text(row.get("phase")), text(row.get("reason")).strip() or "no reason was recorded"
            key = (status, cell.estimator, cell.case, reason)
            line = lines.setdefault(key, {"phase": phase, "count": 0, "where": {}})
            line["count"] += 1
            line["where"].setdefault(cell.sampler, set()).add(cell.steps)
    ordered = sorted(lines.items(), key=lambda item: _order(item[0][0], gravest_first=True))
    return [
        dict(zip(("status", "estimator", "case", "reason"), key, strict=True)) | line | {"where": _where(line["where"])}
        for key, line in ordered
    ]


def _where(samplers: dict[str, set[int | None]]) -> str:
    """{"ddim": {5, 10}} is "ddim (5, 10 steps)"."""
    parts = []
    for sampler, steps in samplers.items():
        known = sorted(step for step in steps if step is not None)
        parts.append(f"{sampler} ({', '.join(map(str, known))} steps)" if known else sampler)
    return "; ".join(parts)


def _order(status: str, gravest_first: bool = False) -> int:
    place = SEVERITY.index(status) if status in SEVERITY else -1
    return place if gravest_first else -place
