"""Predicted against measured: bytes against the allocator's, and time against that of the network alone."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from gradbench.analysis import costs
from gradbench.analysis.cells import Group
from gradbench.bench.row import Row
from gradbench.report import points
from gradbench.report.points import DEFAULT, Ask, NoData
from gradbench.report.static import canvas, pens
from gradbench.report.static.canvas import Drawn

GREY = {"color": canvas.MUTED, "alpha": 0.16, "linewidth": 0, "zorder": 0.5}


@canvas.themed
def predicted(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """Measured peak memory against what shapes alone predict, both logarithmic, with a band of 5 %.

    Table: one line per cell: predicted, measured, what was requested of the allocator, what it took, and
    `unseen_bytes`, `rounding_bytes`, `idle_bytes`, the differences between them in this order.
    """
    found = [(cell, size) for cell in points.ordered(rows) if (size := costs.predicted_bytes(cell))]
    if not found:
        raise NoData("no row has a predicted peak beside the measured one")
    scale, unit = canvas.byte_unit(max(size.peak for _, size in found))
    figure, ((axes,),) = canvas.canvas(ask.title, canvas.DOUBLE, 3.0)
    handles = _marks(axes, ((cell, size.predicted / scale, size.peak / scale) for cell, size in found))
    low, high = (pick(size.predicted / scale for _, size in found) for pick in (min, max))
    ends = [low / 1.5, high * 1.5]
    axes.plot(ends, ends, color=canvas.MUTED, linewidth=0.7, zorder=1)
    axes.fill_between(ends, [(1 - costs.BAND) * v for v in ends], [(1 + costs.BAND) * v for v in ends], **GREY)
    canvas.log_axis(axes, "x")
    canvas.log_axis(axes, "y")
    axes.set_xlabel(f"peak over weights and inputs, predicted ({unit})")
    axes.set_ylabel(f"measured ({unit})")
    within = sum(abs(size.difference) <= costs.BAND for _, size in found)
    canvas.legend(figure, handles, f"Grey: within {costs.BAND:.0%}, as {within} of {len(found)} cells are.")
    return figure, pd.DataFrame(
        [
            points.identity(cell)
            | {"device": cell.device, "gpu": cell.rows[0].get("gpu")}
            | {f"{name}_bytes": value for name, value in vars(size).items()}
            | size.parts
            | {"ratio": size.peak / size.predicted}
            for cell, size in found
        ]
    )


@canvas.themed
def overhead(rows: Sequence[Row], ask: Ask = DEFAULT) -> Drawn:
    """The time of a gradient over that of its network evaluations and VJPs alone, against the time of one evaluation.

    Table: one line per cell: `time_s`, `evaluation_s`, `vjp_s`, the counts, and `ratio`.
    """
    found = [(cell, ratio) for cell in points.ordered(rows) if (ratio := costs.overhead(cell))]
    if not found:
        raise NoData("no row has the time of an evaluation and of a VJP alone: a suite's pass `evaluation` measures it")
    figure, ((axes,),) = canvas.canvas(ask.title, canvas.DOUBLE, 3.0)
    handles = _marks(axes, ((cell, 1000 * (cell.median("evaluation_s") or 0.0), ratio) for cell, ratio in found))
    axes.axhline(1.0, color=canvas.MUTED, linewidth=0.7, zorder=1)
    axes.axhspan(1 - costs.BAND, 1 + costs.BAND, **GREY)
    canvas.log_axis(axes, "x")
    axes.set_ylim(0.0, 1.3 * max(ratio for _, ratio in found))
    axes.set_yticks([tick for tick in axes.get_yticks() if tick < axes.get_ylim()[1] * 0.95])
    axes.set_xlabel("one evaluation of the network (ms)")
    axes.set_ylabel("time of the gradient over\nits evaluations and VJPs alone")
    within = sum(ratio <= 1 + costs.BAND for _, ratio in found)
    canvas.legend(
        figure, handles, f"Grey: within {costs.BAND:.0%} of the network's own time, as {within} of {len(found)} are."
    )
    names = ("time_s", "evaluation_s", "vjp_s", "nfe_forward", "nfe_backward", "vjps")
    return figure, pd.DataFrame(
        [
            points.identity(cell)
            | {"device": cell.device, "gpu": cell.rows[0].get("gpu")}
            | {name: cell.median(name) for name in names}
            | {"ratio": ratio}
            for cell, ratio in found
        ]
    )


def _marks(axes: Any, found: Iterable[tuple[Group, float, float]]) -> list[Any]:
    """One mark per cell in its estimator's look; the handles of a legend."""
    gathered: dict[str, list[tuple[Group, float, float]]] = {}
    for cell, x, y in found:
        gathered.setdefault(cell.estimator, []).append((cell, x, y))
    handles = []
    for name, style in points.looks(cell for own in gathered.values() for cell, _, _ in own).items():
        own = sorted(gathered[name], key=lambda point: point[1])
        drawn = pens.line(axes, style, [x for _, x, _ in own], [y for _, _, y in own], name, **pens.look(style))
        drawn.set_linestyle("")
        handles.append(drawn)
    return handles
