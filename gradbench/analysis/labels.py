"""Names with options, as short as a reader can still tell apart: `adjoint-dpm[rule=rk4,trajectory=stored]`."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gradbench.analysis.rows import CHOICES, params_of, text, weights_of
from gradbench.bench.row import Row
from gradbench.selector import render


def shortened(name: str, params: Mapping[str, Any], shown: Collection[str]) -> str:
    """`name[option=value]` with the options named in `shown`."""
    return render(name, {option: value for option, value in params.items() if option in shown})


def broken(selector: str, width: int) -> str:
    """A selector in lines of about `width` letters, broken after brackets and commas."""
    lines = [""]
    for word in re.split(r"(?<=[\[,])", selector):
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def differing(rows: Sequence[Row], kind: str) -> dict[str, set[str]]:
    """For each name of that kind, the options in which its rows differ; an absent option counts as a value."""
    variants: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        params = params_of(row, kind)
        variants.setdefault(text(row.get(kind)), {})[_frozen(params)] = params
    return {name: _differing(list(found.values())) for name, found in variants.items()}


def labels(rows: Sequence[Row], kind: str) -> list[str]:
    """One label per row, with the options in which rows of the same name differ; a case also shows its weights."""
    shown = differing(rows, kind)
    found = [shortened(name := text(row.get(kind)), params_of(row, kind), shown[name]) for row in rows]
    if kind != "case":
        return found
    return [", ".join(filter(None, (name, weights_of(row)))) for name, row in zip(found, rows, strict=True)]


def cell_names(rows: Sequence[Row]) -> dict[str, str]:
    """cell_id -> "case, sampler, steps, estimator", and what else distinguishes cells of the same name."""
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row, case, sampler, estimator in zip(rows, *(labels(rows, kind) for kind in CHOICES), strict=True):
        alike.setdefault((case, sampler, f"{text(row.get('steps'))} steps", estimator), []).append(row)
    return {row["cell_id"]: ", ".join([*name, *_rest(row, twins)]) for name, twins in alike.items() for row in twins}


def _rest(row: Row, twins: list[Row]) -> list[str]:
    """The columns in which rows of one name differ, with this row's values."""
    differ = [c for c in ("targets", "seed", "dtype", "device") if len({_frozen(twin.get(c)) for twin in twins}) > 1]
    values = {c: "+".join(row[c]) if isinstance(row.get(c), list) else text(row.get(c)) for c in differ}
    return [f"{column} {value}" for column, value in values.items()]


def _differing(variants: list[dict[str, Any]]) -> set[str]:
    options = {option for params in variants for option in params}
    return {
        option
        for option in options
        if len({_frozen(params[option]) if option in params else None for params in variants}) > 1
    }


def _frozen(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
