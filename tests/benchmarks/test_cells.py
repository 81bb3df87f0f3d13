"""What a cell costs besides its passes: forked from the warm server, as on a CPU and on a card, and from a new one."""

import statistics
import time

import pytest

from gradbench.bench.isolate import Isolation, Limits
from gradbench.bench.plan import make_plan, preload
from gradbench.bench.suite import Block

pytestmark = pytest.mark.benchmark
PASSES = ["error", "time", "memory"]
ROUNDS = 5


def planned():
    return make_plan([Block(["sd-tiny"], ["ddim"], ["checkpoint"], [4], passes=PASSES)], 1)


def besides(isolation, cell):
    """Seconds of one cell from the request to the row, its passes left out."""
    begun = time.perf_counter()
    row = isolation.run_isolated(cell, 0, PASSES)
    return time.perf_counter() - begun - row["passes_s"]


@pytest.mark.benchmark(group="overhead")
def test_a_cell_forked_from_the_warm_server_and_one_of_a_server_of_its_own(benchmark, tmp_path):
    items = planned()
    warm = Isolation([], preload(items), Limits(), tmp_path)
    warm.warm()
    forked, own = [], []
    for _ in range(ROUNDS):
        forked.append(besides(warm, items[0].cell))
        cold = Isolation([], preload(items), Limits(), tmp_path)
        own.append(besides(cold, items[0].cell))
        cold.close()
    share = statistics.median(own) / statistics.median(forked)
    benchmark.extra_info |= {"forked_s": statistics.median(forked), "own_s": statistics.median(own)}
    print(f"besides its passes: {statistics.median(forked):.2f} s forked, {statistics.median(own):.2f} s of its own")
    print(f"a server of its own costs {share:.1f} times as much")
    benchmark(lambda: warm.run_isolated(items[0].cell, 0, PASSES))
    warm.close()
