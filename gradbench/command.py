"""The command that measures a cell again."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gradbench.selector import render


def command(cell: Mapping[str, Any], seeds: Sequence[int] | None = None, replicates: int = 1) -> str:
    """`gradbench run ...` with every option of the cell written out; unknown ones are left out.

    cell: the identity columns of a row. seeds: those to run, by default the cell's own.
    """
    words = ["gradbench", "run"]
    for flag, kind in (("-c", "case"), ("--sampler", "sampler"), ("-e", "estimator")):
        if cell.get(kind):
            words += [flag, _selector(str(cell[kind]), cell.get(f"{kind}_params"))]
    words += ["--steps", str(int(cell["steps"]))] if cell.get("steps") is not None else []
    targets = cell.get("targets")
    for target in targets if isinstance(targets, list | tuple) else []:
        words += ["--target", str(target)]
    chosen = [cell["seed"]] if seeds is None and cell.get("seed") is not None else seeds or []
    words += ["--seeds", ranges(chosen)] if chosen else []
    words += ["--replicates", str(replicates)] if replicates > 1 else []
    for name in ("dtype", "device"):
        words += [f"--{name}", str(cell[name])] if cell.get(name) else []
    return shlex.join(words)


def ranges(seeds: Sequence[int]) -> str:
    """[0, 1, 2, 5] is "0-2,5"."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _selector(name: str, params: Any) -> str:
    """A list is wrapped in another list, because a selector reads a list as alternatives."""
    given = params if isinstance(params, Mapping) else {}
    return render(name, {key: [value] if isinstance(value, list) else value for key, value in given.items()})
