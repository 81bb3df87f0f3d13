"""Performance profiles at an equal error: Dolan and More, 2002, Mathematical Programming 91, 201-213."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from gradbench.analysis import profile
from gradbench.analysis.cells import Group
from gradbench.analysis.profile import Costs
from gradbench.bench.row import Row
from gradbench.report import model, points
from gradbench.report.points import DEFAULT, Ask, Errors, NoData
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn

PRICES = {"time": "time", "memory": "peak memory"}
GOALS = [head * 10.0**power for power in range(-12, 1) for head in (1, 3)]
MOST_TAU, MOST_NUMBERS = 1000.0, 24
WARNING = (
    "Read it at ratio 1 and at the right end: in between, with more than two estimators, which one leads depends on "
    "the others compared (Gould and Scott, 2016, ACM TOMS 43); pairs of estimators are in the profile-pairs figure."
)


@canvas.themed
def profiles(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """The share of problems that each estimator solves within a ratio of the least cost, for time and for memory.

    A problem is a (case, sampler, dtype, device, machine), solved if the error is at most the target for some number of
    steps, at the least cost of those; a failure costs infinity. `NoData` with fewer than two estimators or problems
    asked of all. Table: one line per (cost, estimator, ratio) with the share and its 95 % bootstrap interval; an
    estimator that shares too few problems has one line without a share.
    """
    found = points.ordered(rows)
    error, costs, left, words = _costs(found, ask)
    tables, handles = [], {}
    figure, grid = canvas.canvas(ask.title, canvas.DOUBLE, 2.7, 1, 2, sharey=True)
    styles = points.looks(found)
    for axes, (kind, name) in zip(grid.flat, PRICES.items(), strict=True):
        ratios = profile.ratios(costs[kind])
        finite = [r for values in ratios.values() for r in values if math.isfinite(r)]
        end = min(max(max(finite) * 1.3, 2.0), MOST_TAU)
        taus = np.unique([1.0, *(r for r in finite if r < end), end])
        for solver, values in ratios.items():
            shares = [profile.share(values, tau) for tau in taus]
            low, high = profile.band(values, list(taus))
            look: dict[str, Any] = {**pens.look(styles[solver], 2), "markevery": (0.05, 0.12)}
            axes.step(taus, shares, where="post", **look)
            axes.fill_between(taus, low, high, step="post", color=styles[solver].light, alpha=0.07, linewidth=0)
            handles[solver] = Line2D([], [], **look, label=f"{solver}: {shares[-1]:.0%} solved")
            part = {"cost": kind, "estimator": solver, "ratio": taus, "share": shares, "share_low": low}
            tables.append(pd.DataFrame(part | {"share_high": high, "error_target": error, "problems": len(values)}))
        tables += [pd.DataFrame({"cost": kind, "estimator": [n], "problems": 0}) for n in left]
        axes.set_xlabel(f"ratio to the least {name} of any")
        axes.set_xlim(1.0, end)
        canvas.log_axis(axes, "x")
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    grid[0, 0].set_ylabel("share of problems solved")
    canvas.legend(figure, [handles[name] for name in styles if name in handles], f"{words} {WARNING}")
    return figure, pd.concat(tables, ignore_index=True)


@canvas.themed
def profile_pairs(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """For every two estimators, the share of problems that the first solves at no more than the cost of the second.

    Only problems asked of both count. Table: one line per (cost, first, second): the share and number of problems.
    """
    found = points.ordered(rows)
    error, costs, _, words = _costs(found, ask, everyone=True)
    names = list(costs["time"])
    figure, grid = canvas.canvas(ask.title, canvas.DOUBLE, 0.9 + 0.36 * max(len(names), 3), 2, 1, sharex=True)
    lines = []
    for axes, (kind, name) in zip(grid.flat, PRICES.items(), strict=True):
        pairs = {(a, b): profile.pair(costs[kind], a, b) for a in names for b in names if a != b}
        shares = [[pair[0] if (pair := pairs.get((a, b))) else math.nan for b in names] for a in names]
        axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.4, aspect="auto")
        for (i, j), value in np.ndenumerate(shares):
            if math.isfinite(value) and len(names) <= MOST_NUMBERS:
                axes.text(j, i, f"{100 * value:.0f}", ha="center", va="center", fontsize=canvas.SMALL)
        axes.set_title(f"{name}, % of problems", loc="left", fontsize=canvas.SMALL)
        axes.set_yticks(range(len(names)), [f"{solver}  {i + 1}" for i, solver in enumerate(names)])
        axes.grid(False)
        lines += [
            {"cost": kind, "first": a, "second": b, "error_target": error, "share": pair[0], "problems": pair[1]}
            for (a, b), pair in pairs.items()
            if pair
        ]
    grid[-1, 0].set_xticks(range(len(names)), [str(i + 1) for i in range(len(names))])
    note = "Row: of the problems run with both, the share solved at no more than the cost of the numbered column."
    canvas.legend(figure, [], f"{words} {note}")
    return figure, pd.DataFrame(lines)


def _costs(found: Sequence[Group], ask: Ask, everyone: bool = False) -> tuple[float, dict[str, Costs], list[str], str]:
    """The error target, the costs of reaching it, those left out, and all in words."""
    errors = points.errors(found, *points.choose(found, ask))
    asked = _asked(found, errors)
    error = ask.error if ask.error is not None else _telling(errors, asked)
    every = {kind: _least(errors, asked, error, kind) for kind in PRICES}
    costs = every if everyone else {kind: profile.common(table) for kind, table in every.items()}
    problems = len(next(iter(costs["time"].values()), {}))
    if len(costs["time"]) < 2 or problems < 2:
        raise NoData("fewer than two estimators share two problems")
    goal = f"{points.GRADIENTS[errors.target]} within {canvas.plain(error)} of {points.AGAINST[errors.reference]}"
    if everyone:
        return error, costs, [], f"Solved: {goal}."
    left = [name for name in every["time"] if name not in costs["time"]]
    out = f" {len(left)} estimators that share fewer problems are left out." if left else ""
    return error, costs, left, f"{problems} problems; solved: {goal}. Bands: 95 % by bootstrap.{out}"


def _problem(cell: Group) -> str:
    return ", ".join(filter(None, (cell.case, cell.sampler, cell.dtype, cell.device, cell.machine_class)))


def _asked(found: Sequence[Group], errors: Errors) -> dict[str, set[str]]:
    """The problems that each estimator was run on, of those where any was compared with the reference.

    Failures and skips count as asked: they are problems that it did not solve.
    """
    known = {_problem(point.cell) for point in errors.points}
    compared = {point.cell.estimator for point in errors.points}
    asked: dict[str, set[str]] = {}
    for cell in found:
        if cell.estimator in compared and _problem(cell) in known:
            asked.setdefault(cell.estimator, set()).add(_problem(cell))
    return asked


def _least(errors: Errors, asked: dict[str, set[str]], error: float, kind: str) -> Costs:
    """For each estimator and problem, the least cost of an error of at most `error`; infinity if there is none."""
    costs: Costs = {name: dict.fromkeys(sorted(problems), math.inf) for name, problems in asked.items()}
    for point in errors.points:
        if point.reading.shown <= error and (price := model.positive_cost(point.cell, kind)):
            mine, problem = costs[point.cell.estimator], _problem(point.cell)
            mine[problem] = min(mine[problem], price.mid)
    return costs


def _telling(errors: Errors, asked: dict[str, set[str]]) -> float:
    """The target, 1 or 3 times a power of ten, reached by a share of (estimator, problem) pairs nearest 1/2."""
    best: dict[tuple[str, str], float] = {}
    for point in errors.points:
        key = point.cell.estimator, _problem(point.cell)
        best[key] = min(best.get(key, math.inf), point.reading.shown)
    pairs = sum(len(problems) for problems in asked.values())
    return min(GOALS, key=lambda error: abs(sum(least <= error for least in best.values()) / pairs - 0.5))
