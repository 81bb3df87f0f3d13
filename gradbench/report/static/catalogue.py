"""The figures by name, as plain data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradbench.report.static.backward_grid import backward_grid
from gradbench.report.static.bias_variance import bias_variance
from gradbench.report.static.convergence import convergence
from gradbench.report.static.direction import direction
from gradbench.report.static.memory import memory_parts, memory_steps
from gradbench.report.static.points import Ask, Drawn
from gradbench.report.static.precision import precision
from gradbench.report.static.profiles import profile_pairs, profiles
from gradbench.report.static.scaling import scaling_batch, scaling_dimension
from gradbench.report.static.statuses import coverage
from gradbench.report.static.work_precision import work_precision


@dataclass(frozen=True)
class Kind:
    """One line of the catalogue.

    draw: (rows, ask) -> figure and table; raises `NoData` with the reason where the rows have nothing for it. pooled:
    the columns and parameters of the case in which the rows of one figure may differ; None for a figure of all rows.
    """

    name: str
    summary: str
    draw: Callable[[list[dict[str, Any]], Ask], Drawn]
    pooled: tuple[str, ...] | None = ()


KINDS = {
    kind.name: kind
    for kind in (
        Kind("work-precision", "error against time, NFE, VJPs and memory, with the Pareto front", work_precision),
        Kind("convergence", "error against steps, with the fitted order", convergence),
        Kind("direction", "cosine and norm ratio against steps", direction),
        Kind("memory", "peak memory against steps, with cards as lines", memory_steps),
        Kind("memory-parts", "the peak stacked of states, tape and rest", memory_parts),
        Kind("bias-variance", "bias and noise of estimators that draw", bias_variance),
        Kind("backward-grid", "error against the steps of the backward pass", backward_grid),
        Kind("dtype", "error by dtype: of the method, and of rounding", precision, ("dtype",)),
        Kind("scaling-dimension", "error, time and memory against dimension", scaling_dimension, ("dim",)),
        Kind("scaling-batch", "error, time and memory against batch", scaling_batch, ("batch",)),
        Kind("profiles", "performance profiles at an equal error, for time and memory", profiles, None),
        Kind("profile-pairs", "who wins between any two estimators at an equal error", profile_pairs, None),
        Kind("coverage", "what was run on which case, and how it ended", coverage, None),
    )
}
