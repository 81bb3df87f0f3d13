"""What ran, where: the provenance of rows as pairs of name and text."""

from collections import Counter
from typing import Any

from gradbench.analysis.label import weights_of
from gradbench.analysis.numbers import text

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


def environment(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Every fact that the rows know, its distinct values joined, and the days of the run."""
    facts = [(name, _values(rows, column)) for column, name in FACTS.items()]
    days = sorted({text(row.get("started_at"))[:10] for row in rows} - {""})
    if days:
        facts.append(("date", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"))
    return [(name, value) for name, value in facts if value]


def random_weights(rows: list[dict[str, Any]]) -> list[str]:
    """The cases whose networks were not trained: their costs are real, their errors say nothing about images."""
    return list(dict.fromkeys(text(row.get("case")) for row in rows if "random" in weights_of(row).lower()))


def _values(rows: list[dict[str, Any]], column: str) -> str:
    found = Counter(_value(row, column) for row in rows)
    found.pop("", None)
    shown = list(found)[:SHOWN]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _value(row: dict[str, Any], column: str) -> str:
    given = row.get(column)
    value = text(int(given) if isinstance(given, float) and given.is_integer() else given)
    if column == "git_commit" and value:
        return value[:12] + (" (with local changes)" if row.get("git_dirty") is True else "")
    return value
