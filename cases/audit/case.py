"""Auditing a classifier: noise moves within a bound until the classifier errs."""

from collections.abc import Mapping
from typing import Any

from gradbench import checks

from .. import trained


def check(params: Mapping[str, Any]) -> None:
    """What every task checks, and the bound."""
    models = {name: model for name, model in trained.MODELS.items() if model.classes}
    model = models[checks.one_of("model", params["model"], models)]
    trained.check(params)
    checks.one_of(f"objective of model {model.case}", params["objective"], model.classes)
    checks.positive("bound", params["bound"])


SPEC = trained.task_case(
    name="audit",
    summary="a task: x_T moves within a bound until a classifier errs on pictures that a held-out one still recognises",
    citation="Pan et al., 2024, AdjointDPM, arXiv:2307.10711",
    params={**trained.PARAMS, "batch": 8, "rule": "normalised", "lr": 0.25, "bound": 0.8},
    check=check,
    targets=("x_T",),
    task=trained.later(__package__, "Audit"),
)
