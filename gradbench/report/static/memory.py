"""Memory against steps: what each estimator holds at its peak, in parts, and the cards that it fits on."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from matplotlib.patches import Patch

from gradbench.analysis.cells import Group
from gradbench.analysis.costs import Parts
from gradbench.analysis.errors import Power, fit_power
from gradbench.analysis.labels import broken
from gradbench.bench.row import Row
from gradbench.measure import cards as cards_of
from gradbench.report import model, points
from gradbench.report.model import Peak
from gradbench.report.points import DEFAULT, Ask, NoData
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn

SHADES = {"states": ("#4d4d4d", ""), "tape": ("#a6a6a6", "////"), "rest": ("#e3e3e3", "")}
WORDS = {"states": "states held", "tape": "tape of one step", "rest": "all else: further tapes, gradients, objective"}
LEVELS = {"state_bytes": ("one state", (1, 1.5)), "tape_bytes": ("tape of one step", (5, 1.5, 1, 1.5))}
ACROSS = 4  # frames per row


@canvas.themed
def memory_steps(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """Peak memory over weights and inputs against steps, both logarithmic, with cards as lines.

    Table: one line per cell: the peak in bytes with its quartiles, its parts, `card_gb` (the smallest card that holds
    peak, weights and inputs) and `growth`, the power of N with which the estimator's peak grows.
    """
    every = points.ordered(rows)
    found = _found(every)
    scale, unit = canvas.byte_unit(max(peak.size.mid for peak in found))
    figure, ((axes,),) = canvas.canvas(ask.title, canvas.DOUBLE, 3.0)
    styles = points.looks(peak.cell for peak in found)
    data = points.curves((peak.cell, peak.steps, peak.size.over(scale)) for peak in found)
    growth = {name: fit_power([n for n, _ in curve], [peak.mid for _, peak in curve]) for name, curve in data.items()}
    handles = pens.curves(axes, styles, data, {name: name + _words(growth[name]) for name in data})
    for column, size in model.levels(found).items():
        words, pattern = LEVELS[column]
        handles.append(pens.level(axes, size / scale, f"{words}: {canvas.plain(size / scale)} {unit}", pattern))
    note = cards(axes, (peak.parts for peak in found), scale)
    canvas.log_axis(axes, "y")
    pens.steps_axis(axes, (peak.steps for peak in found))
    axes.set_ylabel(f"peak memory over\nweights and inputs ({unit})")
    pens.failures(axes, every, styles)
    canvas.legend(figure, handles, f"After each name: the power of N with which its peak grows. {note}")
    return figure, _table(found, growth)


@canvas.themed
def memory_parts(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """The peak of each estimator at each number of steps, as stacked states, one step's tape and the rest.

    Table: one line per cell: `states_bytes` + `tape_bytes` + `rest_bytes` = `peak_bytes`.
    """
    found = _found(points.ordered(rows))
    groups: dict[str, list[Peak]] = {}
    for peak in found:
        groups.setdefault(peak.cell.estimator, []).append(peak)
    scale, unit = canvas.byte_unit(max(peak.size.mid for peak in found))
    down = -(-len(groups) // ACROSS)
    figure, grid = canvas.canvas(ask.title, canvas.DOUBLE, 1.55 * down, down, min(ACROSS, len(groups)))
    for axes, (name, members) in zip(grid.flat, groups.items(), strict=False):
        places, bottom = range(len(members)), [0.0] * len(members)
        for part, (shade, hatch) in SHADES.items():
            sizes = [getattr(peak.parts, part) / scale for peak in members]
            axes.bar(places, sizes, bottom=bottom, color=shade, hatch=hatch, edgecolor="white", linewidth=0)
            bottom = [low + size for low, size in zip(bottom, sizes, strict=True)]
        cards(axes, (peak.parts for peak in members), scale)
        axes.set_xticks(list(places), [str(peak.steps) for peak in members])
        axes.set_title(broken(name, 26), fontsize=canvas.SMALL, loc="left")
        axes.grid(False, axis="x")
    for axes in grid.flat[len(groups) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel(f"peak ({unit})")
    handles = [Patch(facecolor=s, hatch=h, edgecolor="white", label=WORDS[p]) for p, (s, h) in SHADES.items()]
    canvas.legend(
        figure,
        handles,
        "Peak memory over weights and inputs by steps N of the sampler; each panel has its own scale.",
    )
    return figure, _table(found, {})


def cards(axes: Any, found: Iterable[Parts], scale: float) -> str:
    """Lines at what cards near the peak leave for it; without any, a sentence."""
    kept = list(found)
    largest, baseline = max(parts.peak for parts in kept), max(parts.baseline for parts in kept)
    room = {card: cards_of.room(card) - baseline for card in cards_of.CARDS}
    shown = [card for card, size in room.items() if 0.05 * largest < size < 3 * largest]
    for card in shown:
        axes.axhline(room[card] / scale, color=canvas.INK, linewidth=0.7, linestyle=(0, (5, 2)), zorder=1)
        axes.annotate(
            f"{card} GB card",
            (0.995, room[card] / scale),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=canvas.SMALL,
        )
    if shown:
        return "A card's line is what weights and inputs leave free on it."
    card = next((card for card, size in room.items() if size >= largest), None)
    if card is None:
        return f"No card of {max(room)} GB or less holds the largest peak."
    share = canvas.plain(100 * (largest + baseline) / cards_of.room(card))
    return f"The largest peak with weights and inputs takes {share} % of a {card} GB card."


def _found(every: Sequence[Group]) -> list[Peak]:
    found = model.memory_steps(every)
    if not found:
        raise NoData("no peak of memory was measured")
    return found


def _words(growth: Power | None) -> str:
    return "" if growth is None else f": N^{growth.slope:.2f}"


def _table(found: list[Peak], growth: dict[str, Power | None]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            points.identity(peak.cell)
            | points.spread_columns("peak_bytes", peak.size)
            | {f"{part}_bytes": getattr(peak.parts, part) for part in (*SHADES, "baseline")}
            | {"card_gb": cards_of.card_for(peak.parts.total)}
            | ({"growth": fit.slope} if (fit := growth.get(peak.cell.estimator)) else {})
            for peak in found
        ]
    )
