"""How sure the answer is: what its rows cannot tell."""

from collections.abc import Sequence

from gradbench.analysis import units
from gradbench.analysis.cells import Cell
from gradbench.analysis.numbers import is_finite, number
from gradbench.analysis.prose import names, plural

DRIFT = 1e-3
"""From here on an estimator's own sample is told as another one."""
BUSY = 1.2


def caveats(found: Sequence[Cell]) -> list[str]:
    """Sentences on seeds, cases, machines, sizes and estimators that answer for another sample."""
    measured = [cell for cell in found if cell.measured]
    told = [_seeds(measured), _cases(measured), _machines(measured), _drift(measured)]
    return [sentence for sentence in told if sentence]


def _seeds(found: Sequence[Cell]) -> str:
    counts = [len({row.get("seed") for row in cell.measured}) for cell in found]
    if max(counts) == 1:
        return "Every cell was measured from one seed, so that the spread over seeds is not known."
    few = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{max(counts)}"
    return f"Numbers are medians over {few} seeds."


def _cases(found: Sequence[Cell]) -> str:
    cases = list(dict.fromkeys(cell.case for cell in found))
    peaks = [peak for cell in found if is_finite(peak := cell.median("peak_bytes"))]
    where = f"All of it was found on {names(cases) if len(cases) < 4 else plural(len(cases), 'case')}"
    heavy = f", none of which needs more than {units.mebibytes(max(peaks))}" if peaks else ""
    return f"{where}{heavy}: rankings may differ on others."


def _machines(found: Sequence[Cell]) -> str:
    machines = list(dict.fromkeys(cell.machine_class for cell in found if cell.machine_class))
    loads = sorted(load for cell in found for row in cell.measured if (load := number(row.get("load"))) is not None)
    threads = max((number(row.get("threads")) or 1.0 for cell in found for row in cell.measured), default=1.0)
    load = loads[len(loads) // 2] if loads else 0.0
    busy = f", which was busy (median load {load:.1f})" if load > BUSY * threads else ""
    if not machines:
        return ""
    where = f"one machine{busy}" if len(machines) == 1 else f"{len(machines)} kinds of machine"
    return f"Times are those of {where}: another may rank them otherwise."


def _drift(found: Sequence[Cell]) -> str:
    drifts: dict[str, float] = {}
    for cell in found:
        drift = cell.median("x0_drift")
        if is_finite(drift) and drift > DRIFT:
            drifts[cell.estimator] = max(drift, drifts.get(cell.estimator, 0.0))
    if not drifts:
        return ""
    most = units.share(max(drifts.values()))
    said = f"made other samples than the sampler (x_0 off by up to {most}): their gradients are those of another chain."
    return f"{names(drifts)} {said}"
