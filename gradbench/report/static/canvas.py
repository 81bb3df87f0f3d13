"""The look of all figures: print sizes, axes, legends outside the data, and how a file is written."""

import functools
import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

Drawn = tuple[Figure, pd.DataFrame]
"""A figure and the table of its numbers."""
SINGLE, DOUBLE = 3.4, 7.0  # inches: one column, and both
SMALL = 7.0  # points: nothing is smaller
INK, MUTED, LINE = "#1a1a1a", "#6b6b6b", "#d9d9d9"
LEGEND_ROW, LETTER = 0.145, 0.05  # inches: height of a legend's line, mean width of a SMALL letter
HEADS = ((0.7, (1, 2, 3, 5, 7)), (1.6, (1, 2, 5)), (3.2, (1, 3)))  # tick digits, for axes of fewer decades
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8.0,
    "figure.titlesize": 8.5,
    "axes.labelsize": 7.5,
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "legend.handlelength": 3.2,
    "legend.columnspacing": 1.2,
    "hatch.linewidth": 0.5,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "gradbench",
    "axes.unicode_minus": False,
}


def themed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run with the look of all figures."""

    @functools.wraps(function)
    def drawn(*args: Any, **kwargs: Any) -> Any:
        with matplotlib.rc_context(RC):
            return function(*args, **kwargs)

    return drawn


def canvas(title: str, width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """A figure of `width` inches whose axes share `height` inches, and the array (rows, columns) of its axes.

    The title is wrapped to the width, and its height is added to the figure's.
    """
    lines = textwrap.wrap(title, int(width / (LETTER * 1.22)))
    figure = Figure(figsize=(width, height + 0.16 * len(lines)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)  # type: ignore[union-attr]
    if lines:
        figure.suptitle("\n".join(lines), x=0.01, ha="left")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def legend(figure: Figure, handles: Sequence[Any], note: str = "") -> None:
    """A note and a legend below the axes; the figure grows by what they need."""
    labels = [str(handle.get_label()) for handle in handles]
    width, height = figure.get_size_inches()
    columns = max(1, min(len(labels), int(width / (LETTER * max(map(len, labels), default=0) + 0.62))))
    lines = textwrap.wrap(note, int(width / (1.08 * LETTER)))
    figure.set_size_inches(width, height + LEGEND_ROW * (math.ceil(len(labels) / columns) + len(lines)) + 0.1)
    drawn = figure.legend(
        handles=handles, loc="outside lower left", ncols=columns, title="\n".join(lines), alignment="left",
        title_fontproperties={"size": SMALL},
    )  # fmt: skip
    for handle in drawn.legend_handles:
        if isinstance(handle, Line2D):
            handle.set_markersize(5.0)


def log_axis(axes: Axes, which: str, form: Callable[[float], str] | None = None) -> None:
    """A logarithmic axis over what it shows, with more ticks between the powers of ten the fewer of these there are."""
    getattr(axes, f"set_{which}scale")("log")
    axis, (low, high) = getattr(axes, f"{which}axis"), map(math.log10, getattr(axes, f"get_{which}lim")())
    if high - low < 0.3:
        low, high = (low + high) / 2 - 0.15, (low + high) / 2 + 0.15
        getattr(axes, f"set_{which}lim")(10**low, 10**high)
    every = max(1, math.ceil((high - low) / 6))
    heads = next((heads for longest, heads in HEADS if high - low < longest), (1,))
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [head * 10.0**power for power in powers if power % every == 0 for head in heads]
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= math.log10(tick) <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, place: (form or plain)(value)))


def plain(value: float) -> str:
    """0.01 to 9999 as they are, others like 1e-5."""
    if value and not 0.01 <= abs(value) < 1e4:
        head, power = f"{value:.0e}".split("e")
        return f"{head}e{int(power)}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def byte_unit(largest: float) -> tuple[float, str]:
    """Power of 1024 in which this many bytes read best, and its name."""
    power = min(max(int(math.log(max(largest, 1.0), 1024)), 0), 3)
    return 1024.0**power, ("bytes", "KiB", "MiB", "GiB")[power]


@themed
def save(figure: Figure, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Writes STEM.pdf, .svg and .png, the same bytes from the same figure: no dates, embedded fonts."""
    blank: dict[str, dict[str, None]] = {
        "pdf": {"CreationDate": None, "ModDate": None},
        "svg": {"Date": None},
        "png": {"Software": None},
    }
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, not per format
    paths = []
    for name in formats:
        paths.append(stem.with_name(f"{stem.name}.{name}"))
        figure.savefig(paths[-1], format=name, metadata=blank[name])
    return paths
