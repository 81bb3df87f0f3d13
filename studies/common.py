"""Shared by the studies: random problems, exact states, fitted orders, and tables of medians and ranges."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

import gradbench
from gradbench.estimators.ambient import Ambient
from gradbench.estimators.pathwise.pathwise import Pathwise
from gradbench.estimators.pathwise.recovery import Recovery
from gradbench.estimators.pathwise.trajectory import Trajectory
from gradbench.measure.error import cosine, norm_ratio
from gradbench.problems.gradients import relative_error
from gradbench.problems.problem import Problem
from gradbench.samplers.base import State
from gradbench.samplers.rollout import Rollout

LAWS = {
    "gaussian": "Gaussian distributions in 6 dimensions: random rotation, standard deviations log-uniform in [0.2, 2]",
    "mixture": "4-component Gaussian mixtures in 6 dimensions",
}


def problem(law: str, seed: int, sampler: str, steps: int, schedule: str = "vp-linear", **options: Any) -> Problem:
    """The problem of a random distribution: the seed draws it, its objective and x_T."""
    return gradbench.case(law, schedule=schedule).problem(sampler=sampler, steps=steps, seed=seed, **options)


def errors(found: Mapping[str, Any], exact: Mapping[str, Any]) -> dict[str, float]:
    """Relative L2 errors by target."""
    return {target: relative_error(found[target], exact[target]) for target in exact}


def angles(found: Mapping[str, Any], exact: Mapping[str, Any]) -> tuple[float, float]:
    """Cosine and norm ratio of the x_T gradient."""
    return cosine(found["x_T"], exact["x_T"]), norm_ratio(found["x_T"], exact["x_T"])


@dataclass
class _Exact(Trajectory):
    rollout: Rollout
    states: list[State]
    ambient: Ambient

    @property
    def last(self) -> State:  # type: ignore[override]
        return self.states[-1]

    def at(self, k: int, proposal: State | None = None) -> State:
        return self.states[k]


@dataclass(frozen=True)
class Exact(Recovery):
    """The states of the exact flow at the grid's times, for rules with one tensor as state."""

    flow: Callable[[Tensor, float, float], Tensor]
    name = "stored"

    def run(self, rollout: Rollout, state: State) -> Trajectory:
        (x,), grid = state, rollout.grid
        return _Exact(rollout, [(self.flow(x, grid[0], t),) for t in grid], Ambient())


def on_exact_states(given: Problem, pullback: Any) -> dict[str, Any]:
    """The gradient from a pullback alone: its states and its cotangent at the clean end are those of the exact flow."""
    law: Any = given.denoiser
    return Pathwise(Exact(law.flow), pullback)(given).grads


def slope(errors_by_steps: Mapping[int, float]) -> float:
    """The order from the last two numbers of steps."""
    (a, first), (b, second) = list(errors_by_steps.items())[-2:]
    return math.log(first / second) / math.log(b / a) if first > 0 and second > 0 else math.nan


def number(value: float) -> str:
    """Two digits, with a power of ten if far from one."""
    if not math.isfinite(value):
        return "inf"
    if abs(value) >= 1000 or abs(value) < 0.01 and value:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def spread(values: Iterable[float]) -> str:
    """The median, with the range below it."""
    kept = sorted(v if math.isfinite(v) else math.inf for v in values)
    return f"{number(statistics.median(kept))}<br>*{number(kept[0])} to {number(kept[-1])}*"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


class Claims:
    """Statements, each with the number of distributions for which it holds."""

    def __init__(self) -> None:
        self.found: dict[str, list[bool]] = {}

    def note(self, statement: str, holds: bool) -> None:
        """One distribution's result."""
        self.found.setdefault(statement, []).append(bool(holds))

    def table(self) -> str:
        """Each statement, with its number."""
        rows = [(text, f"{sum(held)} of {len(held)}") for text, held in self.found.items()]
        return table(("statement", "holds for"), rows)
