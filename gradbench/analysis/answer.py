"""The answer: three sentences on accuracy, memory and time, then what else the rows say and how sure it is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gradbench.analysis import words
from gradbench.analysis.cells import Group, how_ended
from gradbench.analysis.rows import is_finite, median, number, text
from gradbench.analysis.sentences import GRADIENT, MEMORY, TIME, accuracy, expense
from gradbench.analysis.standings import Contest
from gradbench.bench.row import Row

ENDED = {
    "skip": ("was skipped", "were skipped"),
    "timeout": ("ran out of time", "ran out of time"),
    "oom": ("ran out of memory", "ran out of memory"),
    "diverged": ("diverged", "diverged"),
    "error": ("ended in an error", "ended in an error"),
    "crash": ("crashed", "crashed"),
    "lost": ("was lost", "were lost"),
}
LONGEST = 120
DRIFT = 1e-3
"""From here on an estimator's own sample is called different."""
BUSY = 1.2


@dataclass(frozen=True)
class Answer:
    """sentences: (head, sentence) on accuracy, memory and time against `reference`; notes: other references, caveats.

    `reference` is the first in the order of `GRADIENT` whose rows decide for some target, else the first with rows;
    None if there is nothing to compare. Names are in backticks.
    """

    reference: str | None
    sentences: list[tuple[str, str]]
    notes: list[str]


def answer(found: list[Group], contests: list[Contest]) -> Answer:
    """The answer from cells and contests; it names no estimator if they do not decide."""
    by = {k: mine for k in GRADIENT if (mine := [c for c in contests if c.reference == k])}
    decided = [k for k, mine in by.items() if any(c.accurate for c in mine)]
    reference = next(iter([*decided, *by]), None)
    if reference is None:
        return Answer(None, [("Accuracy", _nothing(found))], [])
    mine = by[reference]
    sentences = [("Accuracy", accuracy(mine)), ("Memory", expense(mine, MEMORY)), ("Time", expense(mine, TIME))]
    others = [accuracy(rest, brief=True) for k, rest in by.items() if k != reference]
    return Answer(reference, sentences, [*others, *caveats(found)])


def outcome(rows: Sequence[Row]) -> str:
    """How many rows succeeded, and how and why the others did not."""
    counts = Counter(map(how_ended, rows))
    fine, total = counts.pop("ok", 0), len(rows)
    if not total:
        return "Nothing was run."
    if fine == total:
        return "The one measurement succeeded." if total == 1 else f"All {total:,} measurements succeeded."
    parts = [
        f"{count:,} {ENDED.get(status, (f'ended as {status}',) * 2)[count > 1]}{_why(rows, status)}"
        for status, count in counts.most_common()
    ]
    return f"Of {words.plural(total, 'measurement')}, {f'{fine:,}' if fine else 'none'} succeeded; {'; '.join(parts)}."


def caveats(found: Sequence[Group]) -> list[str]:
    """Sentences on seeds, cases, machines, sizes and estimators that answer for another sample."""
    measured = [cell for cell in found if cell.measured]
    told = [_seeds(measured), _cases(measured), _machines(measured), _drift(measured)]
    return [sentence for sentence in told if sentence]


def _nothing(found: list[Group]) -> str:
    measured = list(dict.fromkeys(cell.estimator for cell in found if cell.measured))
    if not found:
        return "Nothing was run, so there is nothing to compare."
    if not measured:
        return "Nothing was measured, so no estimator can be recommended."
    if len(measured) == 1:
        return f"Only {words.names(measured)} was measured, so there is nothing to compare it with."
    return "No two estimators were compared with the same reference, so none can be recommended."


def _why(rows: Sequence[Row], status: str) -> str:
    """The commonest reason for a status, in brackets."""
    reasons = Counter(text(row.get("reason")).strip() for row in rows if how_ended(row) == status)
    reasons.pop("", None)
    if not reasons:
        return ""
    reason, _ = reasons.most_common(1)[0]
    first = reason.splitlines()[0]
    short = first if len(first) <= LONGEST else f"{first[: LONGEST - 3]}..."
    return f" ({'mostly: ' if len(reasons) > 1 else ''}{short})"


def _seeds(found: Sequence[Group]) -> str:
    counts = [len({row.get("seed") for row in cell.measured}) for cell in found]
    if max(counts) == 1:
        return "Every cell was measured from one seed, so the spread over seeds is unknown."
    few = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{max(counts)}"
    return f"Numbers are medians over {few} seeds."


def _cases(found: Sequence[Group]) -> str:
    cases = list(dict.fromkeys(cell.case for cell in found))
    peaks = [peak for cell in found if is_finite(peak := cell.median("peak_bytes"))]
    where = f"All of this was measured on {words.names(cases) if len(cases) < 4 else words.plural(len(cases), 'case')}"
    heavy = f", none of which needs more than {words.mebibytes(max(peaks))}" if peaks else ""
    return f"{where}{heavy}: rankings may differ on others."


def _machines(found: Sequence[Group]) -> str:
    machines = list(dict.fromkeys(cell.machine_class for cell in found if cell.machine_class))
    load = median(row.get("load") for cell in found for row in cell.measured) or 0.0
    threads = max((number(row.get("threads")) or 1.0 for cell in found for row in cell.measured), default=1.0)
    busy = f", which was busy (median load {load:.1f})" if load > BUSY * threads else ""
    if not machines:
        return ""
    where = f"one machine{busy}" if len(machines) == 1 else f"{len(machines)} kinds of machine"
    return f"Times are those of {where}: on another machine the ranking may differ."


def _drift(found: Sequence[Group]) -> str:
    drifts: dict[str, float] = {}
    for cell in found:
        drift = cell.median("x0_drift")
        if is_finite(drift) and drift > DRIFT:
            drifts[cell.estimator] = max(drift, drifts.get(cell.estimator, 0.0))
    if not drifts:
        return ""
    most = words.share(max(drifts.values()))
    said = f"made samples other than the sampler's (x_0 off by up to {most})"
    return f"{words.names(drifts)} {said}: their gradients are those of a different chain."
