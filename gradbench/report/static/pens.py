"""How points are drawn: lines in their estimator's look, bars for spread, the floor, and letters for failures."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradbench.analysis.cells import Group
from gradbench.data import Json
from gradbench.report.coverage import status_of
from gradbench.report.points import Curve, Errors
from gradbench.report.static.canvas import INK, MUTED, SMALL, log_axis, plain
from gradbench.report.style import Style

MARKS = {
    **{"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v", "cross": "P", "x": "X"},
    **{"pentagon": "p", "hexagon": "h", "star": "*", "triangle-left": "<", "triangle-right": ">"},
}
LARGER = {"star": 1.5, "diamond": 0.85, "square": 0.9}


def look(style: Style, above: int = 0) -> Json:
    """Keywords of a line; markers get smaller with the number of lines that it lies `above`, so that all are seen."""
    size = max(6.2 - 1.4 * above, 2.4) * LARGER.get(style.marker, 1.0)
    return {
        "color": style.light,
        "marker": MARKS[style.marker],
        "markersize": size,
        "fillstyle": style.fill,
        "markerfacecoloralt": "white",
        "markeredgewidth": 0.8,
        "linestyle": (0, style.pattern) if style.pattern else "-",
    }


def stacked(lines: Iterable[Iterable[tuple[float, float]]]) -> list[int]:
    """For each line of positive points, in the order of drawing, how many earlier ones share a point to within 2 %."""
    seen: dict[tuple[int, int], set[int]] = {}
    above = []
    for index, points in enumerate(lines):
        places = {(round(50 * math.log(x)), round(50 * math.log(y))) for x, y in points if x > 0 and y > 0}
        above.append(len(set().union(*(seen.get(place, set()) for place in places))))
        for place in places:
            seen.setdefault(place, set()).add(index)
    return above


def line(axes: Axes, style: Style, x: Sequence[float], y: Sequence[float], label: str, **options: Any) -> Line2D:
    """One line with its points marked; an unfilled marker is open, the line does not show through."""
    (drawn,) = axes.plot(x, y, label=label, **options)
    if style.fill == "none":
        drawn.set_fillstyle("full")
        drawn.set_markerfacecolor("white")
    return drawn


def bars(
    axes: Axes, colour: str, x: Sequence[float], y: Sequence[float], spans: Sequence[tuple[float, float]], across: bool
) -> None:
    """Bars from low to high through points, `across` along x, without those of length 0."""
    for at_x, at_y, (low, high) in zip(x, y, spans, strict=True):
        if high > low:
            span = ([low, high], [at_y, at_y]) if across else ([at_x, at_x], [low, high])
            axes.plot(*span, color=colour, linewidth=0.7, alpha=0.7, zorder=1.5, solid_capstyle="butt")


def curves(axes: Axes, looks: dict[str, Style], data: dict[str, Curve], words: dict[str, str]) -> list[Line2D]:
    """One line per name, in the order of `looks`, through medians, with bars between quartiles.

    words: what the legend has instead of a name.
    """
    names = [name for name in looks if name in data]
    above = stacked([(x, spread.mid) for x, spread in data[name]] for name in names)
    drawn = []
    for name, under in zip(names, above, strict=True):
        curve = data[name]
        x, y = [at for at, _ in curve], [spread.mid for _, spread in curve]
        bars(axes, looks[name].light, x, y, [(spread.low, spread.high) for _, spread in curve], False)
        drawn.append(line(axes, looks[name], x, y, words.get(name, name), **look(looks[name], under), zorder=2))
    return drawn


def floor(axes: Iterable[Axes], errors: Errors) -> tuple[list[Patch], str]:
    """The band below the accuracy of the reference, where errors are no numbers, and its legend entry.

    If no error is near it, a sentence replaces the band.
    """
    value = errors.floor
    if not errors.near:
        return [], f"The floor of the reference, {plain(value)}, lies below the axis."
    for each in axes:
        each.axhspan(value / 3, value, color=MUTED, alpha=0.16, linewidth=0, zorder=0.5)
    return [Patch(color=MUTED, alpha=0.16, linewidth=0, label=f"floor of the reference: below {plain(value)}")], ""


def level(axes: Axes, value: float, words: str, pattern: tuple[float, ...] = (1, 1.5)) -> Line2D:
    """A broken line across the axes, named in the legend."""
    return axes.axhline(value, color=MUTED, linewidth=0.9, linestyle=(0, pattern), zorder=1, label=words)


def ring(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """A dark ring around points that nothing beats."""
    axes.plot(x, y, linestyle="", marker="o", markersize=9.5, fillstyle="none", color=INK, markeredgewidth=0.7)


def failures(axes: Axes, cells: Iterable[Group], looks: dict[str, Style]) -> None:
    """A boxed letter above the axes at the steps of each cell that ended badly: M out of memory, T out of time ..."""
    taken: dict[int, int] = {}
    for cell in cells:
        if not cell.failed or cell.steps is None or cell.estimator not in looks:
            continue
        row = taken[cell.steps] = taken.get(cell.steps, 0) + 1
        axes.annotate(
            status_of(cell.status).letter,
            (cell.steps, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 12 * row - 5),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=SMALL,
            color=INK,
            bbox={"boxstyle": "square,pad=0.2", "facecolor": "white", "edgecolor": looks[cell.estimator].light},
            annotation_clip=False,
        )


def steps_axis(axes: Axes, steps: Iterable[Any], words: str = "steps N of the sampler") -> None:
    """A logarithmic axis with a tick at every number of steps that was run, or at fewer if they are crowded."""
    axes.set_xlabel(words)
    log_axis(axes, "x")
    found = sorted(set(steps))
    kept: list[float] = []
    for value in found:
        if not kept or math.log(value / kept[-1]) > 0.06 * math.log(found[-1] / found[0]):
            kept.append(value)
    axes.set_xticks(kept, [f"{value:g}" for value in kept])
