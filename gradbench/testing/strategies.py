"""Hypothesis strategies: distributions, schedules, time ranges, grids, samplers, and problems known exactly.

    @examples(20)
    @given(problems())
    def test_mine_is_backprop(problem):
        assert_close(Mine()(problem).grads, gradbench.estimator("backprop")(problem).grads, 1e-10)

Numbers are multiples of 1/1000, so that failing examples are easy to read. Needs `hypothesis`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradbench
from gradbench.diffusion.chart import CHARTS
from gradbench.diffusion.schedule import Schedule, make_schedule
from gradbench.references import Problem
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.selector import render

GRIDS = ("uniform-t", "uniform-log-snr", "quadratic-t", "karras", "angle")  # those that work on every span
SCHEDULES = ("vp-linear", "scaled-linear", "cosine", "ve", "rectified")
Draw = Callable[..., Any]


def examples(count: int) -> settings:
    """Settings for `count` examples, with no deadline."""
    return settings(deadline=None, max_examples=count)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Multiples of 1/1000 from low to high."""
    return st.integers(round(1000 * low), round(1000 * high)).map(lambda n: n / 1000)


def arrays(shape: int | tuple[int, ...], low: float, high: float) -> st.SearchStrategy[np.ndarray]:
    """float64 arrays of `numbers`."""
    return hnp.arrays(np.float64, shape, elements=numbers(low, high), fill=st.nothing())


@st.composite
def rotations(draw: Draw, dim: int) -> np.ndarray:
    """An orthogonal matrix (dim, dim), with determinant 1 or -1."""
    normals = np.random.default_rng(draw(st.integers(0, 999))).standard_normal((dim, dim))
    return np.linalg.qr(normals)[0]


@dataclass(frozen=True)
class Span:
    """A schedule, given by its selector, and a time range."""

    schedule: Any
    t_max: float
    t_min: float

    @property
    def made(self) -> Schedule:
        """The schedule."""
        return make_schedule(self.schedule)


@dataclass(frozen=True)
class Law:
    """A distribution: the name of its case, and explicit arrays, including target and weight of the objective."""

    name: str
    arrays: Mapping[str, Any]

    def but(self, **arrays: Any) -> "Law":
        """The same distribution with these arrays replaced."""
        return replace(self, arrays={**self.arrays, **arrays})

    def problem(
        self,
        span: Span,
        x_T: Any,
        sampler: str = "ddim",
        steps: int = 8,
        objective: str = "quadratic+sine",
        **options: Any,
    ) -> Problem:
        """The problem from x_T (b, d) over the span; options are those of `Case.problem`."""
        case = gradbench.case(
            self.name,
            schedule=span.schedule,
            t_max=span.t_max,
            t_min=span.t_min,
            objective=objective,
            **{name: np.array(value) for name, value in self.arrays.items()},
        )
        return case.problem(sampler=sampler, steps=steps, x_T=x_T, **options)


@st.composite
def schedules(draw: Draw, names: Sequence[str] = SCHEDULES) -> str:
    """The selector of a schedule, with its constants drawn."""
    name = draw(st.sampled_from(names))
    if name == "vp-linear":
        return f"vp-linear[beta_0={draw(numbers(0.01, 1))},beta_1={draw(numbers(5, 30))}]"
    if name == "scaled-linear":
        start, end = draw(st.integers(1, 40)), draw(st.integers(50, 200))
        return f"scaled-linear[beta_start={start / 1e4},beta_end={end / 1e4}]"
    return f"cosine[s={draw(numbers(0.001, 0.05))}]" if name == "cosine" else name


@st.composite
def spans(draw: Draw, names: Sequence[str] = SCHEDULES) -> Span:
    """A schedule and a time range on which alpha and sigma stay positive; t_max up to 80 for `ve`."""
    schedule = draw(schedules(names))
    if schedule == "ve":
        return Span(schedule, draw(numbers(1, 80)), draw(numbers(0.002, 0.5)))
    ends_clean = schedule.startswith(("vp", "scaled"))
    return Span(schedule, draw(numbers(0.5, 1.0 if ends_clean else 0.98)), draw(numbers(0.001, 0.2)))


@st.composite
def laws(
    draw: Draw,
    names: Sequence[str] = ("gaussian", "mixture", "product-mixture"),
    dims: tuple[int, int] = (1, 3),
    log_std: tuple[float, float] = (-1.2, 0.5),
    means: tuple[float, float] = (-2, 2),
) -> Law:
    """A distribution with dimension, means and log_std in the given ranges; `dirac` only if named."""
    name, dim, count = draw(st.sampled_from(names)), draw(st.integers(*dims)), draw(st.integers(1, 3))
    found = {
        "condition": draw(arrays(dim, -1, 1)),
        "target": draw(arrays(dim, -2, 2)),
        "weight": draw(arrays(dim, 0.2, 2)),
    }
    if name in ("gaussian", "product-mixture"):
        found["rotation"] = draw(rotations(dim))
    if name == "gaussian":
        found["log_std"] = draw(arrays(dim, *log_std))
    elif name != "dirac":
        shape = (count, dim) if name == "mixture" else (dim, count)
        found["means"], found["log_std"] = draw(arrays(shape, *means)), draw(arrays(shape, *log_std))
        found["logits"] = draw(arrays(count if name == "mixture" else shape, -2, 2))
    return Law(name, found)


@st.composite
def starts(draw: Draw, law: Law, span: Span, reach: float = 3.0, batch: tuple[int, int] = (1, 3)) -> torch.Tensor:
    """x_T (b, d), up to `reach` standard deviations of the noise at t_max in every coordinate."""
    shape = (draw(st.integers(*batch)), len(law.arrays["condition"]))
    return span.made.sigma(span.t_max) * torch.from_numpy(draw(arrays(shape, -reach, reach)))


@st.composite
def situations(
    draw: Draw,
    reach: float = 3.0,
    batch: tuple[int, int] = (1, 3),
    schedules: Sequence[str] = SCHEDULES,
    **options: Any,
) -> tuple[Law, Span, torch.Tensor]:
    """(law, span, x_T): all that a problem needs apart from its sampler. The options are those of `laws`."""
    law, span = draw(laws(**options)), draw(spans(schedules))
    return law, span, draw(starts(law, span, reach, batch))


def grids() -> st.SearchStrategy[str]:
    """The name of a grid that works on every span."""
    return st.sampled_from(GRIDS)


@st.composite
def samplers(draw: Draw, stochastic: bool = False, reversible: bool = False) -> str:
    """The selector of a sampler of the given kind, with a grid and, if it is an option, a chart."""
    kinds = {name: (e.traits.stochastic, e.traits.reversible) for name, e in SAMPLERS.items()}
    chosen = [name for name, kind in kinds.items() if kind == (stochastic, reversible) and name != "churn"]
    name = draw(st.sampled_from(chosen))
    chart = {"chart": draw(st.sampled_from(sorted(CHARTS)))} if "chart" in SAMPLERS[name].defaults else {}
    return render(name, {**chart, "grid": draw(grids())})


@st.composite
def problems(
    draw: Draw,
    sampler: st.SearchStrategy[str] | None = None,
    steps: tuple[int, int] = (1, 8),
    targets: Sequence[str] | None = None,
    **options: Any,
) -> Problem:
    """A complete problem in float64. sampler: a strategy for selectors, `samplers()` by default.

    The options are those of `situations` and of `laws`.
    """
    law, span, x_T = draw(situations(**options))
    selector, n, seed = (
        draw(samplers() if sampler is None else sampler),
        draw(st.integers(*steps)),
        draw(st.integers(0, 99)),
    )
    return law.problem(span, x_T, selector, n, targets=targets, seed=seed)
