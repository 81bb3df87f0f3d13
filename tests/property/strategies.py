"""Hypothesis strategies for problems known exactly: laws, schedules, time ranges, starting points.

Every number is a multiple of 1/1000, so that a failing example is short to read.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradbench
from gradbench.diffusion.schedule import Schedule, make_schedule

LEAVES = {
    "gaussian": ("condition", "log_std"),
    "mixture": ("condition", "means", "log_std", "logits"),
    "product-mixture": ("condition", "means", "log_std", "logits"),
    "dirac": ("condition",),
}


def examples(count):
    """So many examples, however long one takes."""
    return settings(deadline=None, max_examples=count)


def numbers(low, high):
    """Multiples of 1/1000 from low to high."""
    return st.integers(round(1000 * low), round(1000 * high)).map(lambda n: n / 1000)


def arrays(shape, low, high):
    """Arrays of `numbers`."""
    return hnp.arrays(np.float64, shape, elements=numbers(low, high), fill=st.nothing())


@st.composite
def rotations(draw, dim):
    """An orthogonal matrix, of either determinant."""
    normals = np.random.default_rng(draw(st.integers(0, 999))).standard_normal((dim, dim))
    return np.linalg.qr(normals)[0]


@dataclass(frozen=True)
class Span:
    """A schedule by its selector and a time range."""

    schedule: str
    t_max: float
    t_min: float

    @property
    def made(self) -> Schedule:
        return make_schedule(self.schedule)


@dataclass(frozen=True)
class Law:
    """A case by name with its explicit arrays, target and weight of the objective among them."""

    name: str
    arrays: dict[str, Any]

    def but(self, **arrays) -> "Law":
        return replace(self, arrays={**self.arrays, **arrays})

    def problem(self, span, x_T, sampler="ddim", steps=8, objective="quadratic+sine", **options):
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
def schedules(draw, names=("vp-linear", "scaled-linear", "cosine", "ve", "rectified")):
    """A schedule's selector with constants of its own."""
    name = draw(st.sampled_from(names))
    if name == "vp-linear":
        return f"vp-linear[beta_0={draw(numbers(0.01, 1))},beta_1={draw(numbers(5, 30))}]"
    if name == "scaled-linear":
        start, end = draw(st.integers(1, 40)), draw(st.integers(50, 200))
        return f"scaled-linear[beta_start={start / 1e4},beta_end={end / 1e4}]"
    return f"cosine[s={draw(numbers(0.001, 0.05))}]" if name == "cosine" else name


@st.composite
def spans(draw, **options):
    """A schedule and a time range on which alpha and sigma stay above zero; t_max up to 80 for `ve`."""
    schedule = draw(schedules(**options))
    if schedule == "ve":
        return Span(schedule, draw(numbers(1, 80)), draw(numbers(0.002, 0.5)))
    ends_clean = schedule.startswith(("vp", "scaled"))
    return Span(schedule, draw(numbers(0.5, 1.0 if ends_clean else 0.98)), draw(numbers(0.001, 0.2)))


@st.composite
def laws(draw, names=("gaussian", "mixture", "product-mixture"), dims=(1, 3), log_std=(-1.2, 0.5), means=(-2, 2)):
    """A law of that many dimensions; its log_std and means within the ranges given."""
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
def starts(draw, law, span, reach=3.0, batch=(1, 3)):
    """x_T, up to `reach` standard deviations of the noise at t_max in every coordinate."""
    shape = (draw(st.integers(*batch)), len(law.arrays["condition"]))
    return span.made.sigma(span.t_max) * torch.from_numpy(draw(arrays(shape, -reach, reach)))


@st.composite
def problems(draw, reach=3.0, batch=(1, 3), span_options=None, **options):
    """(law, span, x_T); the options are those of `laws`."""
    law, span = draw(laws(**options)), draw(spans(**(span_options or {})))
    return law, span, draw(starts(law, span, reach, batch))


def named(law, grads):
    """Gradients by leaf: x_T and those of LEAVES."""
    leaves = (grads["condition"], *grads.get("parameters", ()))
    return {"x_T": grads["x_T"], **dict(zip(LEAVES[law.name], leaves, strict=True))}


def run(law, span, x_T, sampler="ddim", steps=8, objective="quadratic+sine"):
    """The gradients by leaf: of the exact flow where the sampler is `flow`, else of the chain."""
    if sampler == "flow":
        return named(law, law.problem(span, x_T, objective=objective).flow_gradient())
    return named(law, law.problem(span, x_T, sampler, steps, objective).sampler_gradient())


def slack(law, span, x_T, *args, size=1e-12):
    """What rounding may change in each gradient of `run`.

    It is the change when every input is moved by 4,500 roundings, which a chain of some hundred operations does not
    reach, and those of the gradient itself. args: as of `run`.
    """
    moved = {k: law.arrays[k] + size * (1 + abs(law.arrays[k])) for k in LEAVES[law.name]}
    there = run(law.but(**moved), span, x_T + size * (span.made.sigma(span.t_max) + x_T.abs()), *args)
    return {k: (there[k] - g).norm() + size * (1 + g.norm()) for k, g in run(law, span, x_T, *args).items()}


def agree(got, expected, tolerance):
    """Every gradient within its tolerance, one number or one a leaf."""
    for k, g in expected.items():
        error, allowed = (got[k] - g).norm(), tolerance[k] if isinstance(tolerance, dict) else tolerance
        assert error <= allowed, f"{k}: {error:.1e} apart, allowed {allowed:.1e}\n{got[k]}\n{g}"
