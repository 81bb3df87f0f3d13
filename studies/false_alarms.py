"""How often `compare` raises false alarms: runs of unchanged code on ten small cells, each run compared with the next.

    python -m studies.false_alarms RUNS OUT

Every run has its own warm server, like two calls of `gradbench run`; runs already in OUT are not made again.
docs/guide/regression.md quotes the output.
"""

import itertools
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from gradbench.bench.load import load_rows
from gradbench.bench.plan import make_plan
from gradbench.bench.runner import Run, execute
from gradbench.bench.store import Store
from gradbench.bench.suite import Block
from gradbench.compare.compare import compare
from gradbench.compare.finding import Comparison

ESTIMATORS = ["backprop", "checkpoint", "adjoint-deis", "adjoint-dpm", "continuous-adjoint"]
CELLS = [Block(["gaussian"], ["ddim", "rk4"], ESTIMATORS, [10])]
REPLICATES = 5
Rows = list[dict]


def measured(folder: Path) -> Rows:
    """The rows of one run, made if missing."""
    if not folder.exists():
        execute(make_plan(CELLS, REPLICATES), Store(folder), Run("false-alarms"), lambda row: None)
    return load_rows(folder)


def in_turns(first: Rows, second: Rows) -> tuple[Rows, Rows]:
    """The ten rounds of two runs dealt out as A B B A A B B A A B, the order of `--ab`."""
    rounds = [{**row, "replicate": row["replicate"] + 5 * i} for i, run in enumerate((first, second)) for row in run]
    sides = [[row for row in rounds if (row["replicate"] % 4 in (0, 3)) == side] for side in (True, False)]
    return sides[0], sides[1]


def slowed(rows: Rows, cell: str) -> Rows:
    """The rows with one cell's times a fifth longer."""
    return [{**row, "time_s": row["time_s"] * 1.2} if row["cell_id"] == cell else row for row in rows]


def told(name: str, pairs: list[tuple[Rows, Rows]], judge: Callable[[Rows, Rows], Comparison]) -> None:
    """Prints red comparisons and suspicious cells of unchanged code, and the slowdowns by a fifth that are found."""
    found = [judge(*pair) for pair in pairs]
    cells = sorted({row["cell_id"] for row in pairs[0][0]})
    slow = [judge(base, slowed(new, cell)).marked("+") for base, new in pairs for cell in cells]
    detectable = [change for comparison in found for change in comparison.detectable.values()]
    print(
        f"{name}: {sum(c.exit_code != 0 for c in found)} of {len(found)} red, "
        f"{sum(len(c.marked('~')) for c in found)} of {len(detectable)} cells suspicious, "
        f"+20% worse in {sum(bool(marked) for marked in slow)} of {len(slow)}, "
        f"minimum detectable change: median x{statistics.median(detectable):.3g}"
    )


def main(runs: int, out: Path) -> None:
    """Measures what is missing and prints the results."""
    rows = [measured(out / f"{index:02}") for index in range(runs)]
    pairs = list(itertools.pairwise(rows))
    told("two runs", pairs, compare)
    told("two runs, whatever the load", pairs, lambda base, new: compare(base, new, interleaved=True))
    told("in turns", [in_turns(*pair) for pair in pairs], lambda base, new: compare(base, new, interleaved=True))
    loads = [row["load"] for run in rows for row in run]
    print(f"load {min(loads):.1f} to {max(loads):.1f}, median {statistics.median(loads):.1f}")
    print(rows[0][0]["machine_class"], rows[0][0]["started_at"], rows[-1][-1]["started_at"])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
