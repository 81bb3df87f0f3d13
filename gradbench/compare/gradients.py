"""Gradients of pairs of cells: to rounding where they are computed, within their own noise where they are drawn."""

from collections.abc import Iterable

from gradbench.analysis.cells import REFERENCES, TARGETS
from gradbench.analysis.floor import EPSILON, tolerance
from gradbench.analysis.numbers import differ, text
from gradbench.compare.draws import drawn
from gradbench.compare.finding import Comparison, Finding, changed
from gradbench.compare.pairs import Pair

LOW = {name: 64 * unit for name, unit in EPSILON.items() if name != "float64"}
RELATIVE = {"float64": 1e-6} | LOW  # that a norm or an error may change by
ROUNDING = {"float64": 1e-11} | LOW  # that an error may change by, as a part of the gradient
FLOORS = 10  # tolerances of a reference below which an error is no number


def compare_gradients(pairs: Iterable[Pair], found: Comparison) -> None:
    """Norms and errors of every target; of estimators that draw, bias and variance."""
    for pair in pairs:
        draws = any(row.get("draws") is not None for row in (*pair.base, *pair.new))
        for target in TARGETS:
            found.findings += _lost(pair, target) or _changed(pair, target, draws)
        found.compared["gradient"] += 1


def _changed(pair: Pair, target: str, draws: bool) -> list[Finding]:
    """By the tests for draws where there are some, and the gradient has noise."""
    findings = drawn(pair, target) if draws else None
    return _computed(pair, target) if findings is None else findings


def _lost(pair: Pair, target: str) -> list[Finding]:
    """A target that only one side has a gradient of."""
    column = f"grad_norm_{target}"
    base, new = pair.medians(column)
    if (base is None) == (new is None):
        return []
    mark, note = ("!", "this target has no gradient now") if new is None else ("*", "this target had no gradient")
    return [Finding("gradient", column, mark, pair.cell, base, new, note=note)]


def _computed(pair: Pair, target: str) -> list[Finding]:
    """Errors first; a norm that changed is better only where an error got smaller and none larger."""
    dtype = text(pair.cell.get("dtype"))
    relative, rounding = RELATIVE.get(dtype, RELATIVE["float64"]), ROUNDING.get(dtype, ROUNDING["float64"])
    errors, norms = [], []
    for kind in REFERENCES:
        column = f"{kind}_error_{target}"
        base, new = pair.medians(column)
        if base is None or new is None:
            if base is not None:
                errors.append(Finding("gradient", column, "x", pair.cell, base, note="NEW has no such reference"))
            continue
        floor = FLOORS * tolerance((*pair.base, *pair.new), dtype, kind)
        if max(base, new) > floor and differ(base, new, relative, rounding):
            errors.append(changed("gradient", column, pair.cell, base, new))
    marks = {finding.mark for finding in errors}
    mark = "-" if "-" in marks and "+" not in marks else "+"
    for column in (f"grad_norm_{target}", *(f"{kind}_norm_ratio_{target}" for kind in REFERENCES)):
        values = pair.both(column)
        if values and differ(*values, relative):
            norms.append(changed("gradient", column, pair.cell, *values, mark))
    return errors + norms
