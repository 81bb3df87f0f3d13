"""Inverting a prompt: its embedding is recovered from pictures that were made with it."""

from collections.abc import Mapping
from typing import Any

from gradbench import checks

from .. import trained

OBJECTIVE = "pixel-error"


def check(params: Mapping[str, Any]) -> None:
    """What every task checks; the objective is the task's own."""
    checks.one_of("objective", params["objective"], (OBJECTIVE,))
    trained.check({**params, "objective": trained.usual(params)})


SPEC = trained.task_case(
    name="inversion",
    summary="a task: a prompt's embedding moves from another prompt's until it makes the pictures of the first",
    citation="Pan et al., 2024, AdjointDPM, arXiv:2307.10711",
    objectives=(OBJECTIVE,),
    params={**trained.PARAMS, "lr": 0.1, "objective": OBJECTIVE},
    check=check,
    targets=("condition",),
    task=trained.later(__package__, "Inversion"),
)
