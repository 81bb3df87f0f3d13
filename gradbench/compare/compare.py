"""Two sides of rows, compared cell by cell: rows in, a `Comparison` out."""

from collections.abc import Callable, Collection, Iterable, Sequence

from gradbench import checks
from gradbench.analysis.rows import text
from gradbench.bench.row import Row
from gradbench.compare.costs import compare_memory, compare_nfe, compare_time
from gradbench.compare.finding import METRICS, Comparison, Finding, Origin
from gradbench.compare.gradients import compare_gradients
from gradbench.compare.pairs import Pair, pair

FACTOR = 1.10
ORIGIN = ("gradbench", "torch", "git_commit", "machine_class")
COMPARERS: dict[str, Callable[[list[Pair], Comparison], None]] = {
    "gradient": compare_gradients,
    "nfe": compare_nfe,
    "memory": compare_memory,
    "time": compare_time,
}


def compare(
    base: Sequence[Row],
    new: Sequence[Row],
    factor: float = FACTOR,
    metrics: Collection[str] = METRICS,
    interleaved: bool = False,
) -> Comparison:
    """How NEW differs from BASE in the cells that both have.

    base, new: rows, one per process; those of one cell share its `cell_id`. factor: of time, above which a slowdown
    counts. metrics: of `METRICS`. interleaved: whether the sides were measured in turn, so that times of a busy machine
    count too. Raises `ValueError` for a factor outside [1, 10] and for an unknown metric.
    """
    factor = checks.in_range("factor", factor, 1.0, 10.0)
    chosen = [checks.one_of("metric", name, METRICS) for name in metrics]
    pairs, missing, added = pair(base, new)
    found = Comparison(
        origin(base), origin(new), factor, interleaved, [], [cell.cell for cell in pairs], missing, added
    )
    if "status" in chosen:
        compare_status(pairs, found)
    measured = [both for cell in pairs if (both := cell.measured)]
    for name, comparer in COMPARERS.items():
        if name in chosen:
            comparer(measured, found)
    return found


def compare_status(pairs: Iterable[Pair], found: Comparison) -> None:
    """ok to anything else is newly failing, the reverse fixed, and so is a skip that became one or the other."""
    for cell in pairs:
        base, new = cell.statuses
        good = [status == "ok" for status in (base, new)]
        found.compared["status"] += any(good)
        if good[0] == good[1]:
            continue
        failed = next(row for row in (cell.base if good[1] else cell.new) if row.get("status") != "ok")
        mark, note = ("*" if good[1] else "!"), text(failed.get("reason"))
        found.findings.append(Finding("status", "status", mark, cell.cell, base, new, note=note))


def origin(rows: Sequence[Row]) -> Origin:
    """How many cells and rows there are, and the code, torch and machines that they come from."""
    said = {name: tuple(v for v in dict.fromkeys(text(row.get(name)) for row in rows) if v) for name in ORIGIN}
    return Origin(len({row["cell_id"] for row in rows}), len(rows), **said)
