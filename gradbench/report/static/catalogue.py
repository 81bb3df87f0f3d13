"""The figures by name, as plain data; no import of matplotlib until one is drawn."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradbench.report.static.points import Ask, Drawn


@dataclass(frozen=True)
class Kind:
    """One line of the catalogue.

    place: "module:function" in this package; the function takes (rows, ask), returns figure and table, and raises
    `NoData` with the reason where the rows have nothing for it. pooled: the columns and parameters of the case in which
    the rows of one figure may differ; None for a figure of all rows.
    """

    name: str
    summary: str
    place: str
    pooled: tuple[str, ...] | None = ()

    def load(self) -> "Callable[[list[dict[str, Any]], Ask], Drawn]":
        """The function itself; imports its module."""
        module, _, function = self.place.partition(":")
        return getattr(importlib.import_module(f"gradbench.report.static.{module}"), function)


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "work-precision",
            "error against time, NFE, VJPs and memory, with the Pareto front",
            "work_precision:work_precision",
        ),
        Kind("convergence", "error against steps, with the fitted order", "convergence:convergence"),
        Kind("direction", "cosine and norm ratio against steps", "direction:direction"),
        Kind("memory", "peak memory against steps, with cards as lines", "memory:memory_steps"),
        Kind("memory-parts", "the peak stacked of states, tape and rest", "memory:memory_parts"),
        Kind("bias-variance", "bias and noise of estimators that draw", "bias_variance:bias_variance"),
        Kind("backward-grid", "error against the steps of the backward pass", "backward_grid:backward_grid"),
        Kind("dtype", "error by dtype: of the method, and of rounding", "precision:precision", ("dtype",)),
        Kind("scaling-dimension", "error, time and memory against dimension", "scaling:scaling_dimension", ("dim",)),
        Kind("scaling-batch", "error, time and memory against batch", "scaling:scaling_batch", ("batch",)),
        Kind("profiles", "performance profiles at an equal error, for time and memory", "profiles:profiles", None),
        Kind("profile-pairs", "who wins between any two, at an equal error", "profiles:profile_pairs", None),
        Kind("predicted", "measured peak memory against the predicted one", "predicted:predicted", None),
        Kind("overhead", "time over that of the network alone", "predicted:overhead", None),
        Kind("coverage", "what was run on which case, and how it ended", "statuses:coverage", None),
    )
}
