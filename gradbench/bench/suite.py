"""Suites: named lists of blocks of cells, as YAML files in the cases' `suites` folders."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.bench.case import folders


@dataclass(frozen=True)
class Block:
    """The product of its lists, each of selectors or numbers."""

    cases: list[str]
    samplers: list[str]
    estimators: list[str]
    steps: list[int] = field(default_factory=lambda: [20])
    targets: list[str] = field(default_factory=lambda: ["x_T", "condition", "parameters"])
    seeds: list[int] = field(default_factory=lambda: [0])
    dtype: str | None = None
    device: str = "cpu"

    def override(self, given: dict[str, Any]) -> "Block":
        """This block with the lists that a command line gives in place of its own."""
        return replace(self, **{name: value for name, value in given.items() if value})


@dataclass(frozen=True)
class Suite:
    """A named list of blocks; `expects` lists the statuses besides ok and skip that are no failure of the run."""

    name: str
    summary: str
    blocks: list[Block]
    replicates: int = 1
    expects: list[str] = field(default_factory=list)


def suite_files() -> dict[str, Path]:
    """The YAML file of every suite, by name."""
    return {file.stem: file for folder in reversed(folders()) for file in sorted((folder / "suites").glob("*.yaml"))}


def load_suite(name: str) -> Suite:
    """The suite of that name; `ValueError` for an unknown name or for a key that suites do not have."""
    import yaml

    files = suite_files()
    text = files[checks.one_of("suite", name, files)].read_text()
    content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    checks.options(f"suite {name}", content, ("summary", "replicates", "expects", "blocks"))
    blocks = []
    for block in content.pop("blocks"):
        checks.options(f"suite {name}", block, Block.__dataclass_fields__)
        blocks.append(Block(**block))
    return Suite(name, blocks=blocks, **content)
