"""The weights of a text-to-image network move until its pictures have the look of one reference picture."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gradbench import checks
from gradbench.problems.spec import Parts

from .. import trained
from ..emoji import case as emoji

OBJECTIVE = "gram"
MOVES = ("lora", "full")


def check(params: Mapping[str, Any]) -> None:
    """What every task checks; the weights that move, and the weight of the content."""
    checks.one_of("model", params["model"], ("emoji",))
    checks.one_of("objective", params["objective"], (OBJECTIVE,))
    checks.one_of("moves", params["moves"], MOVES)
    checks.finite("content", params["content"])
    emoji.known("reference", params["reference"])
    trained.check(params)


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """The parts of the model, whose adapters start at zero; for moves=full all weights of its network but these."""
    parts = trained.build(params, arrays, seed)
    trained.unadapt(parts.parameters)
    if params["moves"] == "lora":
        return parts
    own = [leaf for name, leaf in parts.denoiser.named_parameters() if "lora_" not in name]
    return replace(parts, parameters=tuple(own))


SPEC = trained.task_case(
    name="stylise",
    summary="a task: weights move until the pictures have the look of one reference picture, their content kept",
    citation="Pan et al., 2024, AdjointDPM, arXiv:2307.10711; Gatys, Ecker and Bethge, 2016, arXiv:1508.06576",
    objectives=(OBJECTIVE,),
    params={
        **trained.PARAMS,
        "lr": 0.003,
        "model": "emoji",
        "objective": OBJECTIVE,
        "guidance": 3.0,
        "reference": "brick",
        "content": 1.0,
        "moves": "lora",
    },
    check=check,
    build=build,
    targets=("parameters",),
    task=trained.later(__package__, "Stylise"),
)
