"""The gradient of L of the chain as run, N steps at its own noises."""

from pathlib import Path

import torch

from gradbench.estimators.catalogue import make_estimator
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.references.kept import kept
from gradbench.references.reference import Reference, name_of, rounding


def sampler_gradient(problem: Problem) -> Gradients:
    """Gradient of L of the chain as run, at its noises: the transpose of every step, from the last to the first.

    It uses the problem's own rounded values, upcast to `reference_dtype`.
    """
    return make_estimator("checkpoint")(problem.to(problem.reference_dtype)).grads


def sampler_reference(problem: Problem, keep: Path | None = None) -> Reference:
    """The same, with its method and tolerance. keep: a file for it, or None."""
    dtype: torch.dtype = problem.reference_dtype
    method = f"transposed chain in {name_of(dtype)} on the cell's rounded values"
    return Reference(kept(keep, lambda: sampler_gradient(problem)), method, rounding(dtype), dtype=name_of(dtype))
