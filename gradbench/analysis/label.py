"""Names with options, as short as a reader can still tell apart: `adjoint-dpm[rule=rk4,trajectory=stored]`."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from gradbench.analysis.numbers import text
from gradbench.selector import render

Row = dict[str, Any]

# what rows were measured with before the option was there, where the default is another since
BEFORE = {"edict": {"turns": "fixed"}, "flow-sde": {"first": "next"}}


def params_of(row: Row, kind: str) -> dict[str, Any]:
    """The options of a row's case, sampler or estimator; empty where there are none."""
    params = row.get(f"{kind}_params")
    return params if isinstance(params, dict) else {}


def whole_params(row: Row, kind: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a row's case, sampler or estimator: those that an old row lacks are the defaults, or `BEFORE`."""
    return {**defaults, **BEFORE.get(text(row.get(kind)), {}), **params_of(row, kind)}


def weights_of(row: Row) -> str:
    """What the weights of a row's case are, such as "random weights (seed 0)"; empty where the row does not say.

    That is the column `weights`, or "random weights" where an option of the case says as much.
    """
    said = text(row.get("weights")).strip()
    if said:
        return said
    for option, value in params_of(row, "case").items():
        if (option == "random_weights" and value) or ("weights" in str(option) and "random" in str(value).lower()):
            return "random weights"
    return ""


def label(name: str, params: dict[str, Any], shown: Collection[str] | None = None) -> str:
    """`name[option=value]` with the options named in `shown`, or with all."""
    return render(name, {key: value for key, value in params.items() if shown is None or key in shown})


def broken(selector: str, width: int) -> str:
    """A selector in lines of about `width` letters, broken behind brackets and commas."""
    lines = [""]
    for word in re.split(r"(?<=[\[,])", selector):
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def differing(rows: list[Row], kind: str) -> dict[str, set[str]]:
    """For each name of that kind, the options in which its rows differ; an absent option is a value of its own."""
    variants: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        params = params_of(row, kind)
        variants.setdefault(text(row.get(kind)), {})[_frozen(params)] = params
    return {name: _differing(list(found.values())) for name, found in variants.items()}


def labels(rows: list[Row], kind: str) -> list[str]:
    """One label a row, showing the options in which rows of the same name differ; a case also shows its weights."""
    shown = differing(rows, kind)
    found = [label(name := text(row.get(kind)), params_of(row, kind), shown[name]) for row in rows]
    if kind != "case":
        return found
    return [", ".join(filter(None, (name, weights_of(row)))) for name, row in zip(found, rows, strict=True)]


def cell_names(rows: list[Row]) -> dict[str, str]:
    """By cell_id "case, sampler, steps, estimator", and what else tells cells apart whose names are the same."""
    kinds = (labels(rows, kind) for kind in ("case", "sampler", "estimator"))
    alike: dict[tuple, list[Row]] = {}
    for row, case, sampler, estimator in zip(rows, *kinds, strict=True):
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
