"""The settings of a task's optimisation, as parameters of its case; no torch."""

from collections.abc import Mapping
from typing import Any

from gradbench import checks

RULES = ("adam", "descent", "normalised")
SETTINGS: Mapping[str, Any] = {"updates": 30, "lr": 0.03, "rule": "adam", "checkpoints": 3}


def check_settings(params: Mapping[str, Any]) -> None:
    """`UsageError` for settings that no task can take."""
    for name in ("updates", "checkpoints"):
        checks.positive_integer(name, params[name])
    checks.positive("lr", params["lr"])
    checks.one_of("rule", params["rule"], RULES)
