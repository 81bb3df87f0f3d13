"""Noise and condition half-way between those of two pictures move until the sample is recognised as both."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gradbench import checks
from gradbench.problems.spec import Parts

from .. import trained

OBJECTIVE = "identity"


def check(params: Mapping[str, Any]) -> None:
    """What every task checks; the model and the objective are the task's own."""
    checks.one_of("model", params["model"], ("emoji",))
    checks.one_of("objective", params["objective"], (OBJECTIVE,))
    trained.check({**params, "objective": trained.usual(params)})


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """The parts of the model, whose adapters are zero, with a condition for each sample."""
    parts = trained.build(params, arrays, seed)
    trained.unadapt(parts.parameters)
    denoiser: Any = parts.denoiser
    denoiser.condition = denoiser.condition.detach().repeat(params["batch"], 1, 1)
    return replace(parts, condition=denoiser.condition)


SPEC = trained.task_case(
    name="morph",
    summary="a task: a sample between two pictures moves until independent recognisers take it for both",
    citation="Blasingame and Liu, 2024, AdjointDEIS, arXiv:2405.15020",
    objectives=(OBJECTIVE,),
    params={
        **trained.PARAMS,
        "lr": 0.1,
        "rule": "descent",
        "model": "emoji",
        "objective": OBJECTIVE,
    },
    check=check,
    build=build,
    targets=("x_T", "condition"),
    task=trained.later(__package__, "Morph"),
)
