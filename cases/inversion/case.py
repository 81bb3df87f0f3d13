"""Inverting a prompt: its embedding is recovered from pictures that were made with it."""

from collections.abc import Mapping
from typing import Any

from .. import trained


def task(problem: Any, params: Mapping[str, Any]) -> Any:
    """`Inversion`."""
    from .task import Inversion

    return Inversion(problem, params)


SPEC = trained.task_case(
    name="inversion",
    summary="a task: a prompt's embedding moves from another prompt's until it makes the pictures of the first",
    citation="Pan et al., 2024, AdjointDPM, arXiv:2307.10711",
    params={**trained.PARAMS, "lr": 0.1},
    targets=("condition",),
    task=task,
)
