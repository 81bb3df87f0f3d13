"""Optimising the initial noise, or all noises, for a reward."""

from collections.abc import Mapping
from typing import Any

from gradbench import checks

from .. import trained

SHELLS = ("sphere", "shell", "none")


def check(params: Mapping[str, Any]) -> None:
    """What every task checks, and the regulariser."""
    trained.check_rewarded(params)
    checks.one_of("shell", params["shell"], SHELLS)
    checks.one_of("noises", params["noises"], ("initial", "all"))


SPEC = trained.task_case(
    name="noise",
    summary="a task: the noise of each picture moves so that its reward rises, near the Gaussian shell",
    citation="Wallace et al., 2023, DOODL, arXiv:2303.13703; Eyring et al., 2024, ReNO, arXiv:2406.04312; Tang et al., "
    "2024, DNO, arXiv:2405.18881; Ben-Hamu et al., 2024, D-Flow, arXiv:2402.14017",
    params={**trained.REWARDED, "lr": 0.1, "shell": "sphere", "noises": "initial"},
    check=check,
    sums=True,
    targets=("x_T",),
    task=trained.later(__package__, "Noise"),
)
