"""How often `compare` cries wolf here: runs of unchanged code on ten small cells, each run compared with the next.

    python -m studies.false_alarms RUNS OUT

Every run has a warm server of its own, as two runs of `gradbench run` have. The load is not looked at, which would turn
alarms of a busy machine into suspicions. docs/guide/regression.md quotes what it said.
"""

import itertools
import statistics
import sys
from pathlib import Path

from gradbench.analysis.compare import compare
from gradbench.analysis.finding import Comparison
from gradbench.bench.load import load_rows
from gradbench.bench.plan import make_plan
from gradbench.bench.runner import Run, execute
from gradbench.bench.store import Store
from gradbench.bench.suite import Block

CELLS = [
    Block(
        ["gaussian"],
        ["ddim", "rk4"],
        ["backprop", "checkpoint", "adjoint-deis", "adjoint-dpm", "continuous-adjoint"],
        [10],
    )
]
REPLICATES = 5


def measure(folder: Path) -> list[dict]:
    """The rows of one run."""
    store = Store(folder)
    execute(make_plan(CELLS, REPLICATES), store, Run("false-alarms"), lambda row: None)
    return store.rows()


def judged(base: list[dict], new: list[dict]) -> Comparison:
    """All metrics, whatever the load was."""
    return compare(base, new, interleaved=True)


def slowed(rows: list[dict], cell: str, factor: float) -> list[dict]:
    """The rows with one cell's times longer by a factor."""
    return [{**row, "time_s": row["time_s"] * factor} if row["cell_id"] == cell else row for row in rows]


def main(runs: int, out: Path) -> None:
    """Measures and says how many comparisons were red, and how many slowdowns by a fifth would have been found."""
    measured = [
        load_rows(out / f"{i:02}") if (out / f"{i:02}").exists() else measure(out / f"{i:02}") for i in range(runs)
    ]
    pairs = list(itertools.pairwise(measured))
    found = [judged(base, new) for base, new in pairs]
    red = [comparison for comparison in found if comparison.exit_code]
    print(f"{len(red)} of {len(found)} comparisons red, {sum(len(c.marked('~')) for c in found)} cells suspicious")
    for finding in (finding for comparison in red for finding in comparison.findings if finding.regression):
        print(f"  {finding.mark} {finding.column} {finding.cell['estimator']} x{finding.ratio:.3g}")
    cells = sorted({row["cell_id"] for row in measured[0]})
    called = [
        any(f.cell["cell_id"] == cell and f.mark == "+" for f in judged(base, slowed(new, cell, 1.2)).findings)
        for base, new in pairs
        for cell in cells
    ]
    print(f"+20% found in {sum(called)} of {len(called)} cells")
    detectable = [x for comparison in found for x in comparison.detectable.values()]
    print(f"minimum detectable change: median x{statistics.median(detectable):.3g}, worst x{max(detectable):.3g}")
    print(f"load: {statistics.median(row['load'] for rows in measured for row in rows):.1f}")
    print(measured[0][0]["machine_class"], measured[0][0]["started_at"], measured[-1][-1]["started_at"])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
