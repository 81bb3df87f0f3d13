"""Time, memory and network evaluations of cell pairs: how each may change before it is called worse."""

import math
import re
from collections.abc import Iterable

import numpy as np

from gradbench.analysis import statistics
from gradbench.analysis.rows import is_finite, median, number
from gradbench.analysis.words import MIB
from gradbench.bench.row import Row
from gradbench.compare.finding import Comparison, Finding, changed
from gradbench.compare.pairs import Pair

LEAST_REPLICATES = 5
PLACE = ("machine_class", "gpu", "threads")
COUNTS = ("nfe_forward", "nfe_backward", "vjps")
COUNT_ROUNDING = 1e-9
SLACK, SLACK_BYTES = 0.01, MIB
BUSY = 1.5  # runnable processes per hardware thread above which times of two runs decide nothing


def compare_nfe(pairs: Iterable[Pair], found: Comparison) -> None:
    """Counts, exactly; means over a distribution of plans, to the rounding of their sum."""
    for pair in pairs:
        for column in COUNTS:
            values = pair.both(column)
            if values and not math.isclose(*values, rel_tol=COUNT_ROUNDING):
                found.findings.append(changed("nfe", column, pair.cell, *values))
        found.compared["nfe"] += 1


def compare_memory(pairs: Iterable[Pair], found: Comparison) -> None:
    """`peak_bytes`: to the byte on a CPU under one version of torch; else by more than 1%, and 1 MiB on CUDA."""
    for pair in pairs:
        values = pair.both("peak_bytes")
        if values is None:
            found.findings.append(Finding("memory", "peak_bytes", "x", pair.cell, note="a side has no peak_bytes"))
            continue
        if abs(values[1] - values[0]) > _slack(pair, min(values)):
            found.findings.append(changed("memory", "peak_bytes", pair.cell, *values))
        found.compared["memory"] += 1


def _slack(pair: Pair, size: float) -> float:
    """The bytes that memory may change by without being called changed."""
    torch = {version.partition("+")[0] for version in pair.value("torch")}
    if pair.cell.get("device") == "cpu":
        return 0.0 if len(torch) == 1 else SLACK * size
    return max(SLACK * size, SLACK_BYTES)


def compare_time(pairs: Iterable[Pair], found: Comparison) -> None:
    """`time_s` over its own process's `calibration_s`, one sample per process.

    Worse (`+`): NEW is slower at a false-discovery rate of 5% over all cells, and by more than the factor in geometric
    mean; better (`-`) likewise. Over the factor it is suspicious (`~`) if it is not significant, or if a side was
    measured on a busy machine, unless the sides were measured in turn.
    """
    judged: list[tuple[Pair, list[float], list[float]]] = []
    for pair in pairs:
        samples, note = _samples(pair)
        if note:
            found.findings.append(Finding("time", "time_s", "x", pair.cell, note=note))
        else:
            judged.append((pair, *samples))
    found.compared["time"] += len(judged)
    p = np.array([statistics.welch(base, new).item() for _, base, new in judged])
    slower, faster = statistics.adjusted(p), statistics.adjusted(1 - p)
    for (pair, base, new), p_slower, p_faster in zip(judged, slower, faster, strict=True):
        found.detectable[pair.cell["cell_id"]] = statistics.detectable(base, new, found.factor, len(judged)).item()
        ratio = statistics.geometric_ratio(base, new).item()
        mark, sure = time_mark(ratio, float(p_slower), float(p_faster), found.factor)
        busy = "" if found.interleaved else busy_note(pair)
        if mark:
            seconds, mark = pair.medians("time_s"), "~" if busy and mark == "+" else mark
            found.findings.append(Finding("time", "time_s", mark, pair.cell, *seconds, ratio, sure, busy))


def time_mark(ratio: float, p_slower: float, p_faster: float, factor: float) -> tuple[str, float]:
    """The mark of one cell, "" for none, and the adjusted p-value that it rests on."""
    if ratio > factor:
        return ("+" if p_slower <= statistics.FALSE_DISCOVERIES else "~"), p_slower
    if ratio < 1 / factor and p_faster <= statistics.FALSE_DISCOVERIES:
        return "-", p_faster
    return "", p_slower


def busy_note(pair: Pair) -> str:
    """A note if a side, NEW first, was measured while more wanted to run than 1.5 times the threads; "" if not."""
    for name, side in (("NEW", pair.new), ("BASE", pair.base)):
        load, threads = median(row.get("load") for row in side), re.search(r"(\d+) threads", _place(side[0])[0])
        if load is not None and threads and load > BUSY * int(threads[1]):
            return f"{name} was measured on a busy machine, load {load:.1f} on {threads[0]}: measure again or with --ab"
    return ""


def _samples(pair: Pair) -> tuple[tuple[list[float], list[float]], str]:
    """Calibrated times of the processes in places that both sides have, and why they cannot be compared, or ""."""
    for name, side in (("BASE", pair.base), ("NEW", pair.new)):
        if not any(_calibrated(row) for row in side):
            return ([], []), f"{name} has no times"
    shared = {_place(row) for row in pair.base} & {_place(row) for row in pair.new}
    if not shared:
        places = " / ".join(", ".join(filter(None, map(str, _place(side[0])))) for side in (pair.base, pair.new))
        return ([], []), f"different machine classes or numbers of threads: {places}"
    base, new = (_times(row for row in side if _place(row) in shared) for side in (pair.base, pair.new))
    if min(len(base), len(new)) < LEAST_REPLICATES:
        have = f"{len(base)} in BASE, {len(new)} in NEW"
        return ([], []), f"not enough replicates ({have}): time needs {LEAST_REPLICATES}, see --replicates"
    return (base, new), ""


def _times(rows: Iterable[Row]) -> list[float]:
    return [time for row in rows if (time := _calibrated(row))]


def _calibrated(row: Row) -> float | None:
    """Median time in units of a fixed matrix product in the same process; None if either was not measured."""
    time, unit = number(row.get("time_s")), number(row.get("calibration_s"))
    return time / unit if time and unit and is_finite(time) and is_finite(unit) and time > 0 < unit else None


def _place(row: Row) -> tuple[str, str, int]:
    class_, gpu, threads = (row.get(name) for name in PLACE)
    return str(class_ or ""), str(gpu or ""), int(number(threads) or 0)
