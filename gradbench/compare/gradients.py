"""Gradients of cell pairs, compared to rounding if deterministic, within their own noise if Monte Carlo.

Draws are reproduced from their keys, so that unchanged code finds the same numbers and is compared to rounding; only if
the draws changed are the bias and variance of NEW tested against those of BASE.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from scipy import stats

from gradbench.analysis import statistics
from gradbench.analysis.errors import EPSILON, tolerance
from gradbench.analysis.rows import differ, text
from gradbench.compare.finding import Comparison, Finding, changed
from gradbench.compare.pairs import Pair
from gradbench.problems.spec import REFERENCES, TARGETS

LOW = {name: 64 * unit for name, unit in EPSILON.items() if name != "float64"}
RELATIVE = {"float64": 1e-6} | LOW  # allowed change of a norm or an error
ALLOWED = {"float64": 1e-11} | LOW  # allowed change of an error, as a part of the gradient
FLOORS = 10  # tolerances of a reference below which an error is no number
SAME = {"relative": 1e-6, "absolute": 1e-11}  # for identical draws
DEVIATIONS = 4  # allowed bias move, in standard errors of a difference
FREEDOM = 31  # of a variance from 32 batch means
GROWTH = {"snr": 0.03, "std_error": 2e-4}  # p-values at which a variance has grown: a factor of 1.99, and of 3.77
DOUBT = 0.1  # at which that of one draw is suspicious: a factor of 1.6


def compare_gradients(pairs: Iterable[Pair], found: Comparison) -> None:
    """Norms and errors per target; for Monte Carlo estimators, bias and variance."""
    for pair in pairs:
        draws = any(row.get("draws") is not None for row in (*pair.base, *pair.new))
        for target in TARGETS:
            found.findings += _lost(pair, target) or _changed(pair, target, draws)
        found.compared["gradient"] += 1


def _changed(pair: Pair, target: str, draws: bool) -> list[Finding]:
    """By the tests for draws if there are some and the gradient has noise."""
    findings = _drawn(pair, target) if draws else None
    return _computed(pair, target) if findings is None else findings


def _lost(pair: Pair, target: str) -> list[Finding]:
    """A target whose gradient only one side has."""
    column = f"grad_norm_{target}"
    base, new = pair.medians(column)
    if (base is None) == (new is None):
        return []
    mark, note = ("!", "this target has no gradient now") if new is None else ("*", "this target had no gradient")
    return [Finding("gradient", column, mark, pair.cell, base, new, note=note)]


def _computed(pair: Pair, target: str) -> list[Finding]:
    """Errors first; a norm that changed is better only if an error got smaller and none larger."""
    dtype = text(pair.cell.get("dtype"))
    relative, rounding = RELATIVE.get(dtype, RELATIVE["float64"]), ALLOWED.get(dtype, ALLOWED["float64"])
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


def _drawn(pair: Pair, target: str) -> list[Finding] | None:
    """What changed of one target's gradient m, the mean of n draws; None if it has no noise.

    With g the expected gradient and C the covariance of one draw, tr C = (abs(m)/snr)^2, and abs(m) and abs(m - g) have
    standard errors of at most (tr C/n)^(1/2). The bias is tested against those; tr C and the variance along g, the
    square of `std_error`, by an F test.
    """
    norm, snr, draws = (pair.both(column) for column in (f"grad_norm_{target}", f"snr_{target}", "draws"))
    if norm is None or snr is None or draws is None or min(*norm, *snr) <= 0:
        return None
    spread = [size / ratio / math.sqrt(n) for size, ratio, n in zip(norm, snr, draws, strict=True)]
    unit, along = pair.both(f"expected_norm_ratio_{target}"), pair.both(f"std_error_{target}")
    found = [_spread(pair, "snr", target, (norm[1] / snr[1]) ** 2 / (norm[0] / snr[0]) ** 2)]
    if unit and along:
        relative = [s * u / size for s, u, size in zip(spread, unit, norm, strict=True)]
        found += [_moved(pair, f"bias_{target}", along), _moved(pair, f"bias_norm_{target}", relative)]
        if along[0]:
            found.append(_spread(pair, "std_error", target, (along[1] / along[0]) ** 2))
    else:
        found.append(_moved(pair, f"grad_norm_{target}", spread))
    findings = [finding for finding in found if finding]
    if not findings and differ(*norm, **SAME):
        note = "different draws or a different estimate, within its noise"
        return [replace(changed("gradient", f"grad_norm_{target}", pair.cell, *norm, "~"), note=note)]
    return findings


def _moved(pair: Pair, column: str, errors: Sequence[float]) -> Finding | None:
    """A value that moved by more than `DEVIATIONS` standard errors of the difference; better if it is nearer 0."""
    values = pair.both(column)
    if values is None or not differ(*values, **SAME):
        return None
    base, new = values
    deviations = abs(new - base) / math.hypot(*errors) if any(errors) else math.inf
    if not deviations > DEVIATIONS:
        return None
    mark = "-" if abs(new) < abs(base) and column.startswith("bias") else "+"
    note = f"{deviations:.1f} standard errors apart"
    return replace(changed("gradient", column, pair.cell, base, new, mark), p=2 * stats.norm.sf(deviations), note=note)


def _spread(pair: Pair, name: str, target: str, ratio: float) -> Finding | None:
    """A variance that grew or shrank, by an F test; in `snr` it is that of all coordinates, which vary less."""
    larger, smaller = (float(statistics.larger_variance(r, FREEDOM)) for r in (ratio, 1 / ratio if ratio else math.inf))
    mark = "+" if larger <= GROWTH[name] else "-" if smaller <= GROWTH[name] else ""
    if not mark and name == "snr" and larger <= DOUBT:
        mark = "~"
    if not mark:
        return None
    column, p, note = f"{name}_{target}", min(larger, smaller), f"variance x{ratio:.3g}"
    return Finding("gradient", column, mark, pair.cell, *pair.medians(column), None, p, note)
