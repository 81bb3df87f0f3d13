"""The data of the page: points, and panels of those that may share a figure, packed as columns.

Every number that the page draws is computed here and in `model`, which print uses too. The columns are packed so that
no HTML parser sees a word of them.
"""

import base64
import contextlib
import gzip
import json
import math
from collections.abc import Sequence
from typing import Any

from gradbench.analysis.cells import PLACE, TABLE, Group
from gradbench.analysis.noise import WORK, Split, split
from gradbench.analysis.rows import Spread, is_finite, number, params_of, text
from gradbench.data import Json
from gradbench.problems.spec import REFERENCES, TARGETS
from gradbench.report import model
from gradbench.report.coverage import status_of
from gradbench.report.points import Ask, Errors, NoData, Point, choose, looks, point

WORK_COSTS = ("time", "nfe")  # that errors are drawn against
HELD = tuple((reference, target) for reference in REFERENCES for target in TARGETS)
LEAST = 1e-12  # the least bias drawn on a logarithmic axis
DIGITS = 6

Readings = dict[tuple[str, str], Point]


def page_data(found: Sequence[Group]) -> Json:
    """What the page's script reads: one point per cell, and panels that list points by index."""
    known = [readings(cell) for cell in found]
    return {
        "points": by_column([_sent(page_point(cell, held)) for cell, held in zip(found, known, strict=True)]),
        "panels": page_panels(found, known),
        "filters": PLACE,
        "targets": TARGETS,
        "references": REFERENCES,
        "columns": (*TABLE, "targets", "dtype", "device", "machine_class", "n", "n_ok"),
        "styles": {name: vars(style) for name, style in looks(found).items()},
        "cases": sorted({cell.case for cell in found}),
        "work": WORK,
    }


def readings(cell: Group) -> Readings:
    """The measured errors of a cell by (reference, target)."""
    return {held: found for held in HELD if (found := point(cell, *held))}


def page_point(cell: Group, held: Readings) -> Json:
    """The line of the table, its errors and costs as figures draw them, and how to measure it again."""
    status = status_of(cell.status)
    return cell.line() | {
        "sampler_name": text(cell.rows[0].get("sampler")),
        "failed": cell.failed,
        "letter": status.letter,
        "words": status.words,
        "draws": cell.median("draws"),
        "predicted_peak_bytes": cell.median("predicted_peak_bytes"),
        "costs": {kind: _spread(paid) for kind in (*WORK_COSTS, "memory") if (paid := model.positive_cost(cell, kind))},
        "errors": {" ".join(key): _error(found, "{}_error_{}".format(*key)) for key, found in held.items()},
        "splits": {target: _split(known) for target in TARGETS if (known := split(cell, target))},
        "params": ", ".join(f"{name}={value}" for name, value in params_of(cell.rows[0], "estimator").items()),
        "command": cell.command,
        "cell_ids": list(dict.fromkeys(filter(None, (text(row.get("cell_id")) for row in cell.rows)))),
    }


def page_panels(found: Sequence[Group], known: Sequence[Readings]) -> list[Json]:
    """The panels in order, each with its points, its figures by "reference target", and the levels of its memory.

    `best` is, for each target, the reference of the figure if none is chosen. `sampler` is the sampler's name, by which
    the page filters, so that a choice holds for cases whose grids differ; `sampler_label` has the options.
    """
    members: dict[tuple[str, ...], list[int]] = {}
    for place, cell in enumerate(found):
        members.setdefault(cell.place, []).append(place)
    return [_panel({place: found[place] for place in places}, known) for places in members.values()]


def _panel(members: dict[int, Group], known: Sequence[Readings]) -> Json:
    cells = list(members.values())
    return {
        **dict(zip(PLACE, cells[0].place, strict=True)),
        "sampler": text(cells[0].rows[0].get("sampler")),
        "sampler_label": cells[0].sampler,
        "points": list(members),
        "best": _best(cells),
        "levels": model.levels(model.memory_steps(cells)),
        "figures": {" ".join(key): figure for key in HELD if (figure := _figure(key, members, known))},
    }


def _best(cells: Sequence[Group]) -> dict[str, str]:
    best = {}
    for target in TARGETS:
        with contextlib.suppress(NoData):
            best[target], _ = choose(cells, Ask(target=target))
    return best


def _figure(key: tuple[str, str], members: dict[int, Group], known: Sequence[Readings]) -> Json:
    """The floor of a figure of errors, whether it is shown, and the fronts by cost, the cheapest point first."""
    held = {id(found.cell): (place, found) for place in members if (found := known[place].get(key))}
    errors = Errors(*key, tuple(found for _, found in held.values() if found.finite))
    if not held:
        return {}
    fronts = {}
    for kind in WORK_COSTS:
        front = [each for each in model.work_precision(errors, kind) if each.front]
        front.sort(key=lambda each: each.cost.mid)
        fronts[kind] = [held[id(each.point.cell)][0] for each in front]
    return {"floor": errors.floor, "near": errors.near, "fronts": fronts}


def _error(found: Point, column: str) -> Json:
    """An error as it is drawn, with its quartiles if they differ; least and most are of the unfloored errors."""
    reading = found.reading
    told = {"shown": reading.shown, "mark": reading.mark, "floor": reading.floor}
    every = [error for row in found.cell.measured if (error := number(row.get(column))) is not None]
    if len(every) > 1:
        told |= {"least": min(every), "most": max(every)}
    return told | _quartiles(found.error)


def _sent(point: Json) -> Json:
    """A point without what the page can infer: a shown error is the error itself, or its floor."""
    errors = {key: {k: v for k, v in error.items() if k != "shown"} for key, error in point["errors"].items()}
    return point | {"errors": errors}


def _split(found: Split) -> Json:
    """What `bias against noise` draws: the spread that `WORK` evaluations leave, and the size of the bias.

    A bias hidden by its own error is shown as large as that error, without bars.
    """
    if found.hidden:
        return {"spread": found.spread(WORK), "size": max(found.margin, LEAST), "hidden": True}
    size = abs(found.bias)
    return {"spread": found.spread(WORK), "size": size, "low": size - found.margin, "high": size + found.margin}


def _spread(found: Spread) -> dict[str, float]:
    return {"mid": found.mid} | _quartiles(found)


def _quartiles(found: Spread) -> dict[str, float]:
    """The quartiles if they differ."""
    return {"low": found.low, "high": found.high} if found.low < found.high else {}


def packed(data: Any) -> str:
    """JSON, gzipped, in base64: a tenth of the JSON, and none of its characters can end a script."""
    text = json.dumps(_plain(data), allow_nan=False, separators=(",", ":"), default=str)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode()


def by_column(records: list[Json]) -> Json:
    """{"n": 2, "columns": {"errors/flow x_T/shown": [0.1, None], ...}} of nested records; the page rebuilds them.

    A column of texts is {"words": [...], "of": [0, 0, 1]}: every text once. An all-None column is left out.
    """
    found: dict[str, list[Any]] = {}
    for index, record in enumerate(records):
        for path, value in _leaves(record):
            if value is not None:
                if path not in found:
                    found[path] = [None] * len(records)
                found[path][index] = value
    return {"n": len(records), "columns": {path: _column(values) for path, values in found.items()}}


def _leaves(record: Json, path: str = "") -> Any:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}/")
        else:
            yield f"{path}{key}", value


def _column(values: list[Any]) -> Any:
    if not all(value is None or isinstance(value, str) for value in values):
        return values
    words = list(dict.fromkeys(value for value in values if value is not None))
    places = {word: place for place, word in enumerate(words)}
    return {"words": words, "of": [-1 if value is None else places[value] for value in values]}


def _plain(value: Any) -> Any:
    """`value` with floats to six digits, and numbers that JSON lacks as text: "inf"."""
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if not isinstance(value, float):
        return value
    if not is_finite(value):
        return str(value)
    return int(value) if value == math.floor(value) and abs(value) < 2**53 else float(f"{value:.{DIGITS}g}")
