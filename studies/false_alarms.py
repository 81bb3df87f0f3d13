"""How often `compare` cries wolf here: runs of unchanged code on ten small cells, each run compared with the next.

    python -m studies.false_alarms RUNS OUT

Every run has a warm server of its own, as two runs of `gradbench run` have. docs/guide/regression.md quotes what it said.
"""

import itertools
import statistics
import sys
from pathlib import Path

from gradbench.analysis.compare import compare
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


def main(runs: int, out: Path) -> None:
    """Measures and says how many comparisons were red, and how noisy the processes were."""
    measured = [measure(out / f"{index:02}") for index in range(runs)]
    for name, pairs in (("consecutive", itertools.pairwise(measured)), ("all", itertools.combinations(measured, 2))):
        found = [compare(base, new) for base, new in pairs]
        red = [comparison for comparison in found if comparison.exit_code]
        marks = [f"{f.mark} {f.column}" for comparison in red for f in comparison.findings if f.regression]
        print(f"{name}: {len(red)} of {len(found)} comparisons red; {len(marks)} cells: {sorted(set(marks))}")
    detectable = [x for comparison in found for x in comparison.detectable.values()]
    print(f"minimum detectable change: median x{statistics.median(detectable):.3g}, worst x{max(detectable):.3g}")
    print(f"load: {statistics.median(row['load'] for rows in measured for row in rows):.1f}")
    print(measured[0][0]["machine_class"], measured[0][0]["started_at"], measured[-1][-1]["started_at"])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
