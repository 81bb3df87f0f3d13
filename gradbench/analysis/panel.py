"""Rows that may stand in one figure: one case, sampler, dtype, device, machine class and set of targets."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from gradbench.analysis.labels import differing, shortened
from gradbench.analysis.rows import params_of, text
from gradbench.bench.row import Row

WORDS = ("device", "machine_class", "targets")
APART = ("dtype", *WORDS)


@dataclass(frozen=True)
class Panel:
    """The rows of one figure; case: its name; title: what they share, just enough to tell panels apart."""

    case: str
    title: str
    rows: Sequence[Row]


def panels(rows: Sequence[Row], pooled: Collection[str] = ()) -> list[Panel]:
    """The panels in the order in which they first appear.

    pooled: columns, and parameters of the case, in which the rows of a panel may differ.
    """
    kept = [column for column in APART if column not in pooled]
    members: dict[str, list[Row]] = {}
    for row in rows:
        options = {name: value for name, value in params_of(row, "case").items() if name not in pooled}
        names = [text(row.get("case")), options, text(row.get("sampler")), params_of(row, "sampler")]
        key = [*names, *(_plain(row.get(name)) for name in kept)]
        members.setdefault(json.dumps(key, sort_keys=True, default=str), []).append(row)
    shown = {kind: differing(rows, kind) for kind in ("case", "sampler")}
    short = {key: _title(found[0], shown, pooled) for key, found in members.items()}
    words = [name for name in WORDS if name in kept]
    return [
        Panel(
            text(found[0].get("case")),
            short[key] if list(short.values()).count(short[key]) == 1 else _long(short[key], found[0], words),
            found,
        )
        for key, found in members.items()
    ]


def _title(row: Row, shown: dict[str, dict[str, set[str]]], pooled: Collection[str]) -> str:
    names = [
        shortened(name := text(row.get(kind)), params_of(row, kind), shown[kind].get(name, set()) - set(pooled))
        for kind in ("case", "sampler")
    ]
    dtype = "" if "dtype" in pooled else text(row.get("dtype"))
    return ", ".join(filter(None, (*names, dtype, text(row.get("weights")))))


def _long(title: str, row: Row, words: list[str]) -> str:
    return ", ".join([title, *filter(None, (text(_plain(row.get(name))) for name in words))])


def _plain(value: Any) -> Any:
    """A list of targets as text, whatever kind of list it is."""
    return value if value is None or isinstance(value, str | int | float) else " + ".join(map(str, value))
