"""The tests run on a mutant: those of the first stage, and those for its survivors only."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GOLDEN = "tests/conformance/test_golden.py"
NO_DIGITS = (
    "--deselect",
    "tests/estimators/test_exactness.py::test_checkpoint_equals_backprop_bit_for_bit_on_the_digits_network",
)
BESIDE = {  # further tests of the first stage, for files that the golden entries do not fully cover
    "chart": ["tests/diffusion/test_chart.py"],
    "sde_chart": ["tests/diffusion/test_chart.py"],
    "base": ["tests/samplers/test_rules.py"],
    "runge_kutta": ["tests/samplers/test_rules.py"],
    "multistep": ["tests/samplers/test_rules.py"],
    "stochastic": ["tests/samplers/test_rules.py", "tests/samplers/test_flow_sde.py"],
    "reversible": ["tests/samplers/test_rules.py", "tests/samplers/test_reversible.py"],
    "pullback": ["tests/estimators/test_pullback.py"],
    "binomial": ["tests/estimators/test_revolve.py"],
    "inverted": ["tests/estimators/test_exactness.py", "tests/property/test_property_reversible.py"],
}
ROOMS = {  # tests of the second stage besides golden entries: those of a room that do not take minutes
    "diffusion": ["diffusion", "samplers/test_rules.py", "samplers/test_encoding.py"],
    "samplers": [
        *("samplers/test_rules.py", "samplers/test_encoding.py", "samplers/test_flow_sde.py"),
        *("samplers/test_reversible.py", "estimators/test_counts.py"),
    ],
    "estimators": [
        *("estimators/test_pullback.py", "estimators/test_revolve.py", "estimators/test_exactness.py"),
        *("estimators/test_counts.py", "estimators/test_adjoints.py", "estimators/test_adjoint_kinds.py"),
        "property/test_property_reversible.py",
    ],
}
SCHEDULERS = "tests/conformance/test_diffusers_schedulers.py"


def first_stage(file: str, root: Path) -> list[str]:
    """One golden entry per sampler, adjoint and option, and the tests beside them, the most relevant first."""
    kinds: dict[str, str] = {}
    for entry, test in _golden(root):
        kind = [entry.get(key) for key in ("kind", "sampler", "estimator", "options", "adjoint_steps")]
        kinds.setdefault(json.dumps(kind), test)
    golden, beside = list(kinds.values()), BESIDE.get(Path(file).stem, [])
    if "estimators" in file:
        golden.reverse()  # the adjoints first
    near_first = Path(file).stem not in ("stochastic", "reversible")
    return [*NO_DIGITS, *(beside + golden if near_first else golden + beside)]


def second_stage(file: str, root: Path) -> list[str]:
    """The tests of the file's room, and every golden entry of two other schedules."""
    golden = [
        test for entry, test in _golden(root) if entry["problem"] in ("gaussian-scaled-linear", "gaussian-rectified")
    ]
    return [*NO_DIGITS, *(f"tests/{place}" for place in ROOMS[file.split("/")[1]]), SCHEDULERS, *golden]


def _golden(root: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Golden entries with their tests, without those of mixtures (slow) and of the flow alone (no rule)."""
    for entry in json.loads((root / "tests/golden/index.json").read_text())["entries"]:
        if entry["kind"] != "flow" and "mixture" not in entry["problem"]:
            yield entry, f"{GOLDEN}::test_entry_is_met_at_its_tolerance[{entry['problem']}:{entry['key']}]"
