"""Figures by name, as plain data; matplotlib is not imported until one is drawn."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradbench.bench.row import Row
    from gradbench.report.points import Ask
    from gradbench.report.static.canvas import Drawn


FORMATS = ("pdf", "svg", "png")


@dataclass(frozen=True)
class Drawing:
    """One line of the catalogue.

    place: "module:function" in this package; the function takes (rows, ask), returns figure and table, and raises
    `NoData` with the reason if the rows have nothing for it. pooled: the columns and parameters of the case in which
    the rows of one figure may differ; None for a figure of all rows.
    """

    name: str
    summary: str
    place: str
    pooled: tuple[str, ...] | None = ()

    def load(self) -> "Callable[[Sequence[Row], Ask], Drawn]":
        """The function itself; imports its module."""
        module, _, function = self.place.partition(":")
        return getattr(importlib.import_module(f"gradbench.report.static.{module}"), function)


FIGURES = {
    drawing.name: drawing
    for drawing in (
        Drawing(
            "work-precision",
            "error against time, NFE, VJPs and memory, with the Pareto front",
            "work_precision:work_precision",
        ),
        Drawing("convergence", "error against steps, with the fitted order", "steps:convergence"),
        Drawing("direction", "cosine and norm ratio against steps", "steps:direction"),
        Drawing("memory", "peak memory against steps, with cards as lines", "memory:memory_steps"),
        Drawing("memory-parts", "the peak split into states, tape and the rest", "memory:memory_parts"),
        Drawing("bias-variance", "bias and noise of estimators that draw", "bias_variance:bias_variance"),
        Drawing("backward-grid", "error against the steps of the backward pass", "steps:backward_grid"),
        Drawing("dtype", "error by dtype: of the method, and of rounding", "sizes:precision", ("dtype",)),
        Drawing("scaling-dimension", "error, time and memory against dimension", "sizes:scaling_dimension", ("dim",)),
        Drawing("scaling-batch", "error, time and memory against batch", "sizes:scaling_batch", ("batch",)),
        Drawing("profiles", "performance profiles at an equal error, for time and memory", "profiles:profiles", None),
        Drawing("profile-pairs", "which of any two estimators wins, at an equal error", "profiles:profile_pairs", None),
        Drawing("predicted", "measured peak memory against the predicted one", "predicted:predicted", None),
        Drawing("overhead", "time over that of the network alone", "predicted:overhead", None),
        Drawing(
            "outcomes",
            "held-out score of tasks against the gradient's cosine, work and time",
            "outcomes:outcomes",
            None,
        ),
        Drawing(
            "progress", "held-out score of tasks on the way, at equal work, queries and time", "progress:progress", None
        ),
        Drawing("coverage", "what was run on which case, and how it ended", "statuses:coverage", None),
    )
}
