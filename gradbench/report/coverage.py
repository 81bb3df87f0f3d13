"""What ran, where, and how it ended: facts of a run, the coverage matrix, failures and skips with their reasons."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gradbench.analysis.cells import Group, how_ended
from gradbench.analysis.rows import SEVERITY, text, weights_of
from gradbench.bench.row import Row
from gradbench.data import Json

Counts = list[tuple[str, int]]


@dataclass(frozen=True)
class Status:
    """How a status is shown: a letter beside its colour, and words."""

    letter: str
    words: str


STATUSES = {
    "ok": Status("✓", "succeeded"),
    "skip": Status("–", "skipped"),
    "oom": Status("M", "out of memory"),
    "timeout": Status("T", "out of time"),
    "diverged": Status("D", "diverged"),
    "error": Status("E", "error"),
    "crash": Status("C", "crashed"),
    "lost": Status("L", "lost"),
}
UNKNOWN = Status("?", "unknown status")
FACTS = {
    "suite": "suite",
    "device": "device",
    "machine_class": "machine class",
    "cpu": "CPU",
    "gpu": "GPU",
    "threads": "threads",
    "dtype": "dtype",
    "torch": "torch",
    "gradbench": "gradbench",
    "git_commit": "commit",
}
SHOWN = 3


def environment(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Every fact in the rows, its distinct values joined, and the days of the run."""
    facts = [(name, _values(rows, column)) for column, name in FACTS.items()]
    days = sorted({text(row.get("started_at"))[:10] for row in rows} - {""})
    if days:
        facts.append(("date", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"))
    return [(name, value) for name, value in facts if value]


def random_weights(rows: Sequence[Row]) -> list[str]:
    """The cases whose networks were not trained: their costs are real, their errors say nothing about images."""
    return list(dict.fromkeys(text(row.get("case")) for row in rows if "random" in weights_of(row).lower()))


def status_of(name: str) -> Status:
    """Letter and words of a status; a question mark for one outside the contract."""
    return STATUSES.get(name, UNKNOWN)


def counts(rows: Iterable[Row]) -> Counts:
    """How many rows ended in which status, the good ones first."""
    return sorted(Counter(map(how_ended, rows)).items(), key=lambda item: _order(item[0]))


def boxes(cells: Iterable[Group], name: Callable[[Group], str]) -> dict[tuple[str, str], Counts]:
    """The counts of each (estimator, case), estimators as `name` calls them; what was not requested has none."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for cell in cells:
        rows.setdefault((name(cell), cell.case), []).extend(cell.rows)
    return {place: counts(own) for place, own in rows.items()}


def failures(cells: Iterable[Group]) -> list[Json]:
    """What did not end well, one line per (status, estimator, case, reason), gravest first and skips last."""
    lines: dict[tuple[str, str, str, str], Json] = {}
    for cell in cells:
        for row in cell.rows:
            status = how_ended(row)
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


def _values(rows: Sequence[Row], column: str) -> str:
    found = Counter(_value(row, column) for row in rows)
    found.pop("", None)
    shown = list(found)[:SHOWN]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _value(row: Row, column: str) -> str:
    given = row.get(column)
    value = text(int(given) if isinstance(given, float) and given.is_integer() else given)
    if column == "git_commit" and value:
        return value[:12] + (" (with local changes)" if row.get("git_dirty") is True else "")
    return value


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
