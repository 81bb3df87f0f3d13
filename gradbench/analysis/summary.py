"""The answer: three sentences on accuracy, memory and time, then what else the rows say and how sure it is."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from gradbench.analysis.accuracy import GRADIENT, accuracy
from gradbench.analysis.caveats import caveats
from gradbench.analysis.cells import Cell
from gradbench.analysis.numbers import text
from gradbench.analysis.price import MEMORY, TIME, price
from gradbench.analysis.prose import names, plural
from gradbench.analysis.standings import Verdict

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


@dataclass(frozen=True)
class Answer:
    """sentences: (head, sentence) of accuracy, memory and time against `reference`. notes: other references, caveats.

    `reference` is the first in the order of `GRADIENT` whose rows decide for some target, else the first with rows;
    None where there is nothing to compare. Names stand in backticks.
    """

    reference: str | None
    sentences: list[tuple[str, str]]
    notes: list[str]


def answer(found: list[Cell], judged: list[Verdict]) -> Answer:
    """What the cells and their verdicts say; where they do not decide, no estimator is named."""
    by = {k: mine for k in GRADIENT if (mine := [v for v in judged if v.reference == k])}
    decided = [k for k, mine in by.items() if any(v.accurate for v in mine)]
    reference = next(iter([*decided, *by]), None)
    if reference is None:
        return Answer(None, [("Accuracy", _nothing(found))], [])
    mine = by[reference]
    sentences = [("Accuracy", accuracy(mine)), ("Memory", price(mine, MEMORY)), ("Time", price(mine, TIME))]
    others = [accuracy(verdicts, brief=True) for k, verdicts in by.items() if k != reference]
    return Answer(reference, sentences, [*others, *caveats(found)])


def outcome(rows: list[dict[str, Any]]) -> str:
    """How many rows ended well, and how and why the others did not."""
    counts = Counter(text(row.get("status")) or "lost" for row in rows)
    fine, total = counts.pop("ok", 0), len(rows)
    if not total:
        return "Nothing was run."
    if fine == total:
        return "The one measurement ended well." if total == 1 else f"All {total:,} measurements ended well."
    parts = [
        f"{count:,} {ENDED.get(status, (f'ended as {status}',) * 2)[count > 1]}{_why(rows, status)}"
        for status, count in counts.most_common()
    ]
    return f"Of {plural(total, 'measurement')}, {f'{fine:,}' if fine else 'none'} ended well; {'; '.join(parts)}."


def _nothing(found: list[Cell]) -> str:
    measured = list(dict.fromkeys(cell.estimator for cell in found if cell.measured))
    if not found:
        return "Nothing was run, so there is nothing to compare."
    if not measured:
        return "Nothing was measured, so no estimator can be recommended."
    if len(measured) == 1:
        return f"Only {names(measured)} was measured, so there is nothing to compare it with."
    return "No two estimators were held against the same reference, so none can be recommended."


def _why(rows: list[dict[str, Any]], status: str) -> str:
    """The commonest reason for a status, in brackets."""
    reasons = Counter(text(row.get("reason")).strip() for row in rows if text(row.get("status")) == status)
    reasons.pop("", None)
    if not reasons:
        return ""
    reason, _ = reasons.most_common(1)[0]
    first = reason.splitlines()[0]
    short = first if len(first) <= LONGEST else f"{first[: LONGEST - 3]}..."
    return f" ({'mostly: ' if len(reasons) > 1 else ''}{short})"
