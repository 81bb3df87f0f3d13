"""The names of the targets of single steps: the noises, the controls and the states of a chain; no torch."""

import re
from collections.abc import Sequence

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.problems.spec import TARGETS
from gradbench.samplers.steered import KINDS

NOISES = "noises"
CONTROLS = tuple(f"controls[{kind}]" for kind in KINDS)
_STATE = re.compile(r"x_t\[(\d+)\]\Z")


def of_steps(targets: Sequence[str]) -> list[str]:
    """Those of the targets that are of single steps."""
    return [name for name in targets if name not in TARGETS]


def state_index(target: str) -> int | None:
    """The k of `x_t[k]`, or None."""
    match = _STATE.match(target)
    return int(match[1]) if match else None


def check_target(name: str, available: Sequence[str], steps: int | None = None) -> str:
    """A target of a problem or of its steps; `ValueError` for another, and for a state beyond the last, x_t[N]."""
    k = state_index(name) if isinstance(name, str) else None
    if k is None:
        return checks.one_of("target", name, (*available, NOISES, *CONTROLS, "x_t[k]"))
    if steps is not None and k > steps:
        raise UsageError(f"x_t[k] must be a state of the chain, 0 <= k <= {steps}, got {name}")
    return name


def ordered(targets: Sequence[str]) -> tuple[str, ...]:
    """x_T, condition, parameters, then the noises, the controls, and the states by their index; each once."""
    plain = [name for name in (*TARGETS, NOISES, *CONTROLS) if name in targets]
    return (*plain, *sorted({t for t in targets if state_index(t) is not None}, key=lambda t: state_index(t) or 0))
