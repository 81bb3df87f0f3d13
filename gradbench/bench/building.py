"""Builds the problem and the estimator of a cell."""

from gradbench.bench.cell import Cell
from gradbench.estimators.base import GradientEstimator
from gradbench.estimators.catalogue import make_estimator
from gradbench.problems.case import make_case
from gradbench.problems.problem import Problem
from gradbench.selector import render


def build(cell: Cell, device: str | None = None) -> tuple[Problem, GradientEstimator]:
    """The problem and the estimator of a cell, on the cell's device or another one."""
    return build_problem(cell, device), make_estimator(render(cell.estimator, cell.estimator_params))


def build_problem(cell: Cell, device: str | None = None) -> Problem:
    """The problem of a cell, on the cell's device or another one."""
    return make_case(cell.case, cell.case_params).problem(
        sampler=render(cell.sampler, cell.sampler_params),
        steps=cell.steps,
        seed=cell.seed,
        targets=cell.targets,
        dtype=cell.dtype,
        device=device or cell.device,
    )
