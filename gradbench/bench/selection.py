"""Which cells the options of a command line select, and how numbers with units are written there. No torch."""

import re
from dataclasses import replace
from typing import Any

from gradbench.bench.plan import MOST_CELLS
from gradbench.bench.suite import Block, Suite, load_suite
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.problems.folders import case_specs
from gradbench.selector import parse, render


def selection(options: dict[str, Any]) -> Suite:
    """The suite that the options name, its parts replaced by those that they give; without one, these alone."""
    given = block_of(options)
    if options["suite"] is None and not any(given[name] for name in ("cases", "samplers", "estimators")):
        options = {**options, "suite": "smoke"}
    if options["suite"] is not None:
        suite = load_suite(options["suite"])
    else:
        suite = Suite("selection", "", [Block(["gaussian"], ["ddim"], list(ESTIMATORS))])
    replicates = suite.replicates if options["replicates"] is None else options["replicates"]
    blocks = with_weights([b.override(given) for b in suite.blocks], options["weights"])
    return Suite(suite.name, suite.summary, blocks, replicates, suite.expects)


def block_of(options: dict[str, Any]) -> dict[str, Any]:
    """The lists of cells that options give; `-e all` is every estimator of the catalogue."""
    given = {name: list(options[name]) for name in ("cases", "samplers", "estimators", "steps", "targets")}
    if given["estimators"] == ["all"]:
        given["estimators"] = list(ESTIMATORS)
    seeds = parse_seeds(options["seeds"]) if options.get("seeds") is not None else None
    return {**given, "seeds": seeds, "dtype": options["dtype"], "device": options.get("device")}


def with_weights(blocks: list[Block], weights: str | None) -> list[Block]:
    """The blocks with those weights in every case that can load some; `ValueError` where none can."""
    if weights is None:
        return blocks
    if not weights or any(mark in weights for mark in "[]=\"',"):
        raise ValueError(f"--weights must be a folder or a hub's id without any of []=\"', got {weights!r}")
    known = case_specs()
    taking = [name for name, spec in known.items() if "weights" in spec.params]

    def loaded(text: str) -> str:
        name, given = parse(text)
        return render(name, {**given, "weights": weights}) if name in taking else text

    if not any(parse(text)[0] in taking for block in blocks for text in block.cases):
        raise ValueError(f"--weights needs a case that loads weights: {', '.join(taking)}")
    return [replace(block, cases=[loaded(text) for text in block.cases]) for block in blocks]


def parse_seeds(text: str) -> list[int]:
    """`0-4` or `0,3,5-7`."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if match is None:
            raise ValueError(f"--seeds must be a range like 0-4 or 0,3, got {text!r}")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low or high - low >= MOST_CELLS:
            raise ValueError(f"--seeds must be a range like 0-4 of at most {MOST_CELLS:,} seeds, got {text!r}")
        seeds += range(low, high + 1)
    return seeds


def parse_seconds(text: str, option: str = "--timeout") -> float:
    """`90`, `90s`, `10m` or `1h`, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"{option} must be a time like 90s, 10m or 1h, got {text!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def parse_bytes(text: str) -> int:
    """`4GiB`, `500MB` or `1000000`, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]i?)?B?", text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"--memory must be a size like 4GiB or 500MB, got {text!r}")
    unit = match[2] or ""
    return int(float(match[1]) * (1024 if unit.endswith("i") else 1000) ** " kMGT".index(unit[:1] or " "))
