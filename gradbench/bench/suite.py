"""Suites: named lists of blocks of cells, as YAML files in the `suites` folders of the cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.bench.columns import FINE, STATUSES
from gradbench.checks import UsageError
from gradbench.problems.folders import folders
from gradbench.problems.spec import TARGETS

PASSES = ("error", "rounding", "time", "memory", "flow", "evaluation")
USUAL = PASSES[:4]


@dataclass(frozen=True)
class Block:
    """The product of its lists, each of selectors or numbers.

    passes: the measurements, of error, rounding (the method's error apart from its precision's), flow, time, memory and
    evaluation. `flow` is the error against the flow of a network, which has to be solved, taking a minute per problem;
    a flow known to the case is part of `error`. `evaluation` is the time of one evaluation and of one VJP alone. A cell
    of several blocks has the passes of all. seconds: the rough time of a cell, for a budget without rows.
    """

    cases: list[str]
    samplers: list[str]
    estimators: list[str]
    steps: list[int] = field(default_factory=lambda: [20])
    targets: list[str] = field(default_factory=lambda: list(TARGETS))
    seeds: list[int] = field(default_factory=lambda: [0])
    dtype: str | None = None
    device: str = "cpu"
    passes: list[str] = field(default_factory=lambda: list(USUAL))
    seconds: float | None = None


@dataclass(frozen=True)
class Suite:
    """A named list of blocks; `expects` lists the statuses besides ok and skip that do not fail the run."""

    name: str
    summary: str
    blocks: list[Block]
    replicates: int = 1
    expects: Sequence[str] = ()


def suite_files() -> dict[str, Path]:
    """The YAML file of every suite, by name."""
    return {file.stem: file for folder in reversed(folders()) for file in sorted((folder / "suites").glob("*.yaml"))}


def load_suite(name: str) -> Suite:
    """The suite of that name; `ValueError` for an unknown name and for an invalid file."""
    import yaml

    files = suite_files()
    file = files[checks.one_of("suite", name, files)]
    try:
        content = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UsageError(f"suite {file} is not valid YAML: {error}") from None
    place = f"suite {file}"
    fields = _mapping(place, content, {"summary": str, "replicates": int, "expects": list, "blocks": list})
    if "replicates" in fields:
        checks.positive_integer(f"replicates of {place}", fields["replicates"])
    for status in fields.get("expects", []):
        checks.one_of(f"status in expects of {place}", status, [name for name in STATUSES if name not in FINE])
    blocks = [_block(f"block {i} of {place}", block) for i, block in enumerate(fields.pop("blocks", []), 1)]
    if not blocks:
        raise UsageError(f"{place} must have a list of blocks")
    own: dict[str, Any] = {"summary": "", **fields}
    return Suite(name, **own, blocks=blocks)


def _mapping(owner: str, content: Any, kinds: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UsageError(f"{owner} must be a mapping of {', '.join(kinds)}, got {str(content)[:40]!r}")
    for key, value in checks.options(owner, content, kinds).items():
        if not isinstance(value, kinds[key]):
            kind = getattr(kinds[key], "__name__", "number")
            raise UsageError(f"{key} of {owner} must be a {kind}, got {str(value)[:40]!r}")
    return dict(content)


def _block(owner: str, content: Any) -> Block:
    scalars: dict[str, Any] = {"dtype": str, "device": str, "seconds": (int, float)}
    kinds = {name: scalars.get(name, list) for name in Block.__dataclass_fields__}
    fields = _mapping(owner, content, kinds)
    lacking = [name for name in ("cases", "samplers", "estimators") if name not in fields]
    if lacking:
        raise UsageError(f"{owner} lacks {', '.join(lacking)}")
    for name, value in fields.items():
        word, check = _CHECKS[name]
        for each in value if isinstance(value, list) else [value]:
            check(f"{word} in {owner}", each)
    return Block(**fields)


def _selector(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a selector such as ddim or 'ddim[eta=1]', got {value!r}")


def _one_of(choices: Sequence[str]) -> Callable[[str, Any], Any]:
    return lambda name, value: checks.one_of(name, value, choices)


_CHECKS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "cases": ("a case", _selector),
    "samplers": ("a sampler", _selector),
    "estimators": ("an estimator", _selector),
    "steps": ("steps", checks.positive_integer),
    "targets": ("target", _one_of(TARGETS)),
    "seeds": ("a seed", checks.natural),
    "dtype": ("dtype", _one_of(checks.DTYPES)),
    "device": ("device", lambda name, value: checks.device_name(value, name)),
    "passes": ("pass", _one_of(PASSES)),
    "seconds": ("seconds", checks.positive),
}
