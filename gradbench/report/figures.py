"""The data of the figures: panels of cells, the reading of every error, and the Pareto fronts.

A panel is what may stand in one figure: one case, sampler, dtype, device, machine class and set of targets. Its lines
are estimators over steps. Everything that the page draws is computed here; the page only chooses and draws.
"""

from typing import Any

from gradbench.analysis.cells import REFERENCES, TARGETS, Cell
from gradbench.analysis.costs import cost
from gradbench.analysis.floor import Reading, read
from gradbench.analysis.numbers import is_finite, number, text
from gradbench.analysis.pareto import pareto_front
from gradbench.analysis.table import table_line
from gradbench.analysis.variance import WORK, Split, split
from gradbench.report.command import command
from gradbench.report.coverage import status_of

FILTERS = ("case", "sampler", "dtype", "device", "machine_class", "targets")
COSTS = {"time": "total_time", "nfe": "total_nfe", "memory": "peak_bytes"}
LEAST = 1e-12  # a bias that is drawn on a logarithmic axis is no smaller
Point = dict[str, Any]


def points(cells: list[Cell]) -> list[Point]:
    """One point a cell: the line of the table, its readings, and how to measure it again."""
    return [_point(cell) for cell in cells]


def panels(found: list[Point]) -> list[dict[str, Any]]:
    """The panels in order, each with its points (by index) and its fronts, by "reference target cost".

    `sampler` is the sampler's name, by which the page filters, so that a choice holds for cases whose grids differ;
    `sampler_label` tells the options.
    """
    members: dict[tuple, list[int]] = {}
    for index, point in enumerate(found):
        members.setdefault(tuple(point[key] for key in FILTERS), []).append(index)
    return [
        dict(zip(FILTERS, key, strict=True))
        | {"sampler": found[indices[0]]["sampler_name"], "sampler_label": found[indices[0]]["sampler"]}
        | {"points": indices, "fronts": _fronts(found, indices)}
        for key, indices in members.items()
    ]


def _point(cell: Cell) -> Point:
    line = table_line(cell)
    forward, backward = line["nfe_forward"], line["nfe_backward"]
    nfe = None if forward is None and backward is None else (forward or 0) + (backward or 0)
    draws, time = cell.median("draws") or 1, cost(cell, "time")
    readings = {f"{k} {t}": reading for k in REFERENCES for t in TARGETS if (reading := read(cell, k, t))}
    return line | {
        "sampler_name": text(cell.rows[0].get("sampler")),
        "nfe": nfe,
        # a row's cost is that of one draw, its error that of the mean of them all, made one by one
        "total_nfe": None if nfe is None else nfe * draws,
        "total_time": time and time.mid,
        "total_spread": {"low": time.low, "high": time.high} if time and time.low < time.high else {},
        "state_bytes": cell.median("state_bytes"),
        "tape_bytes": cell.median("tape_bytes"),
        "predicted_peak_bytes": cell.median("predicted_peak_bytes"),
        "splits": {t: _split(found) for t in TARGETS if (found := split(cell, t))},
        "params": _params(cell),
        "errors": {key: _shown(reading, cell, key) for key, reading in readings.items()},
        "letter": status_of(cell.status).letter,
        "words": status_of(cell.status).words,
        "command": command(cell),
        "cell_ids": list(dict.fromkeys(filter(None, (text(row.get("cell_id")) for row in cell.rows)))),
    }


def _shown(reading: Reading, cell: Cell, key: str) -> dict[str, Any]:
    """A reading, and the smallest and the largest error of the cell's rows where they are several."""
    shown = {"shown": reading.shown, "mark": reading.mark, "floor": reading.floor}
    found = [error for row in cell.measured if (error := number(row.get(key.replace(" ", "_error_")))) is not None]
    return shown | ({"low": min(found), "high": max(found)} if len(found) > 1 else {})


def _split(found: Split) -> dict[str, Any]:
    """What `bias against noise` draws: the spread that `WORK` evaluations leave, and the size of the bias.

    A bias that its own error hides is shown as large as that error, without bars.
    """
    size = abs(found.bias)
    seen = {"size": size, "low": size - found.margin, "high": size + found.margin}
    return {"spread": found.spread(WORK)} | ({"size": max(found.margin, LEAST), "hidden": True} if found.hidden else seen)


def _params(cell: Cell) -> str:
    """Every option of the estimator, also those that its label leaves out."""
    params = cell.rows[0].get("estimator_params")
    return ", ".join(f"{key}={value}" for key, value in params.items()) if isinstance(params, dict) else ""


def _fronts(found: list[Point], indices: list[int]) -> dict[str, list[int]]:
    """Which points of a panel nothing beats in both error and cost."""
    fronts = {}
    for reading in (f"{reference} {target}" for reference in REFERENCES for target in TARGETS):
        for cost, column in COSTS.items():
            rivals = [i for i in indices if reading in found[i]["errors"] and is_finite(found[i][column])]
            front = pareto_front([(found[i]["errors"][reading]["shown"], found[i][column]) for i in rivals])
            if front:
                fronts[f"{reading} {cost}"] = [rivals[place] for place in front]
    return fronts
