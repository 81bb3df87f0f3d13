"""The known right answers of a problem, and the columns of a row about them."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from gradbench.problems.problem import Problem
from gradbench.problems.spec import MEMORYLESS
from gradbench.references.expected import expected_reference
from gradbench.references.flow import flow_reference
from gradbench.references.memoryless import memoryless_reference
from gradbench.references.reference import Reference
from gradbench.references.sampler import sampler_reference


def references(
    problem: Problem,
    flow_method: str,
    draws: int | None = None,
    keep: Path | None = None,
    stored: Callable[[], Reference | None] = lambda: None,
    memoryless: bool = False,
) -> dict[str, Reference]:
    """The known references by kind: flow, sampler, expected, and with `memoryless` the fourth.

    flow_method: how the case knows its flow. draws: of a Monte Carlo estimator; an expected gradient without exact form
    is then the stored one, or the mean of as many draws. keep: a file for the sampler's reference, or None. stored:
    finds a case's stored expected gradient of this problem, or None.
    """
    sampler = sampler_reference(problem, keep)
    found = {
        "flow": flow_reference(problem, flow_method),
        "sampler": sampler,
        "expected": expected_reference(problem, sampler, draws, stored),
        MEMORYLESS: memoryless_reference(problem) if memoryless else None,
    }
    return {kind: reference for kind, reference in found.items() if reference is not None}


def columns(found: Mapping[str, Reference]) -> dict[str, str | float]:
    """The columns of a row about its references."""
    digest = hashlib.sha256("".join(f"{kind}:{r.digest}" for kind, r in found.items()).encode())
    return {
        "reference_method": "; ".join(f"{kind}: {r.method}" for kind, r in found.items()),
        "reference_tol": max(r.tol for r in found.values()),
        "reference_digest": digest.hexdigest()[:16],
        "reference_dtype": min((r.dtype for r in found.values()), key=("float32", "float64").index),
        **{f"{kind}_tol": r.tol for kind, r in found.items()},
    }
