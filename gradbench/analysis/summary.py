"""The answer in sentences: who is accurate, at what cost, and what did not run."""

from collections import Counter
from typing import Any

from gradbench.analysis import units
from gradbench.analysis.cells import REFERENCES, TARGETS, Cell
from gradbench.analysis.numbers import text
from gradbench.analysis.winners import Winner, winners

ENDED = {
    "skip": ("was skipped", "were skipped"),
    "timeout": ("ran out of time", "ran out of time"),
    "oom": ("ran out of memory", "ran out of memory"),
    "diverged": ("diverged", "diverged"),
    "error": ("ended in an error", "ended in an error"),
    "crash": ("crashed", "crashed"),
    "lost": ("was lost", "were lost"),
}
SPELLED_OUT = 3


def answer(rows: list[dict[str, Any]]) -> list[str]:
    """About three sentences: the best against each reference that was measured, then failures and skips."""
    if not rows:
        return ["Nothing was run, so there is nothing to compare."]
    won = winners(rows)
    told = [reference for reference in REFERENCES if any(winner.reference == reference for winner in won)]
    sentences = [_best(reference, won) for reference in told]
    if not won:
        sentences = ["No error was measured, so no estimator can be called accurate."]
    return [*sentences, _outcome(rows)]


def describe(cell: Cell) -> str:
    """Estimator, sampler and steps of a cell: "adjoint-deis with ddim at 40 steps"."""
    sampler = f" with {cell.sampler}" if cell.sampler else ""
    return f"{cell.estimator}{sampler}" + ("" if cell.steps is None else f" at {cell.steps} steps")


def precision(winner: Winner) -> str:
    """The winner's error in words, which below the accuracy of the reference is not a number."""
    reading = winner.reading
    if reading.mark == "value":
        return f"error {units.error(reading.error)}"
    if reading.mark == "exact":
        return "exact to the last bit"
    return f"error below {units.error(reading.shown)}, the floor of the reference"


def _best(reference: str, won: list[Winner]) -> str:
    target = next(target for target in TARGETS if any((w.reference, w.target) == (reference, target) for w in won))
    chosen = [winner for winner in won if (winner.reference, winner.target) == (reference, target)]
    opening = f"Closest to the {reference} gradient with respect to {target}"
    if len(chosen) <= SPELLED_OUT:
        return f"{opening} is {'; '.join(map(_case, chosen))}{_unknown(reference, chosen, won)}."
    counts = Counter(winner.cell.estimator for winner in chosen).most_common(SPELLED_OUT)
    shares = ", ".join(f"{estimator} on {count}" for estimator, count in counts)
    return (
        f"{opening} is {shares} of {len(chosen)} cases; the table below names each{_unknown(reference, chosen, won)}."
    )


def _unknown(reference: str, chosen: list[Winner], won: list[Winner]) -> str:
    """The cases that have winners, but none against the flow, because their exact gradient is not known."""
    cases = list(dict.fromkeys(winner.case for winner in won if winner.case not in {c.case for c in chosen}))
    if reference != "flow" or not cases:
        return ""
    return f"; it is not known on {', '.join(cases) if len(cases) <= SPELLED_OUT else f'{len(cases)} other cases'}"


def _case(winner: Winner) -> str:
    cell = winner.cell
    cost = f"{units.seconds(cell.median('time_s'))} and {units.mebibytes(cell.median('peak_bytes'))}"
    words = f"{describe(cell)} on {winner.case} ({precision(winner)}, {cost}"
    lean, others = winner.leanest, winner.equals - 1
    if lean is not cell:
        words += f"; {describe(lean)} is as accurate in {units.mebibytes(lean.median('peak_bytes'))}"
        others -= lean.estimator != cell.estimator
    return words + (f"; {others} more as accurate)" if others else ")")


def _outcome(rows: list[dict[str, Any]]) -> str:
    counts = Counter(text(row.get("status")) or "lost" for row in rows)
    fine, total = counts.pop("ok", 0), len(rows)
    if fine == total:
        return "The one cell ended well." if total == 1 else f"All {total} cells ended well."
    parts = [
        f"{count} {ENDED.get(status, (f'ended as {status}',) * 2)[count > 1]}{_why(rows, status)}"
        for status, count in counts.most_common()
    ]
    return f"Of {total} {'cell' if total == 1 else 'cells'}, {fine or 'none'} ended well; {', '.join(parts)}."


def _why(rows: list[dict[str, Any]], status: str) -> str:
    """The commonest reason for a status, in brackets."""
    reasons = Counter(text(row.get("reason")).strip() for row in rows if text(row.get("status")) == status)
    reasons.pop("", None)
    if not reasons:
        return ""
    reason, _ = reasons.most_common(1)[0]
    first = reason.splitlines()[0]
    return f" ({'mostly: ' if len(reasons) > 1 else ''}{first if len(first) <= 120 else first[:117] + '...'})"
