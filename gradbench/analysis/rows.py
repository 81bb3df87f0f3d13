"""What is read from rows: numbers and texts, any of which may be missing, options, and the spread of several."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

from gradbench.bench.row import Row
from gradbench.selector import Options, Value

CHOICES = ("case", "sampler", "estimator")
SEVERITY = ("crash", "error", "lost", "oom", "timeout", "diverged", "skip", "ok")

# what rows were measured with before the option existed, if its default has changed since
BEFORE = {"edict": {"turns": "fixed"}, "flow-sde": {"first": "next"}}


def number(value: Any) -> float | None:
    """`value` as a float; None if it is missing or not numeric; NaN becomes inf, as it is no better."""
    if value is None or isinstance(value, bool | str | bytes):
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return math.inf if math.isnan(result) else result


def is_finite(value: float | None) -> TypeGuard[float]:
    """Whether there is a value and it is finite."""
    return value is not None and math.isfinite(value)


def missing(value: Any) -> bool:
    """Whether a cell of a table is empty: None, or the NaN that data frames put in its place."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def text(value: Any) -> str:
    """`value` as text; the empty string where it is missing."""
    return "" if missing(value) else str(value)


def differ(base: float, new: float, relative: float, absolute: float = 0.0) -> bool:
    """Whether two numbers differ by more than `relative` of the larger plus `absolute`; infinity equals itself."""
    if base == new:
        return False
    if not (is_finite(base) and is_finite(new)):
        return True
    return abs(new - base) > relative * max(abs(base), abs(new)) + absolute


def median(values: Iterable[Any]) -> float | None:
    """The median of the numbers among `values`; None if there are none."""
    numbers = [result for value in values if (result := number(value)) is not None]
    return statistics.median(numbers) if numbers else None


@dataclass(frozen=True)
class Spread:
    """Median `mid`, quartiles `low` and `high` and number `n` of the finite values."""

    low: float
    mid: float
    high: float
    n: int

    def over(self, unit: float) -> "Spread":
        """The same in another unit."""
        return Spread(self.low / unit, self.mid / unit, self.high / unit, self.n)


def spread(values: Iterable[Any]) -> Spread | None:
    """The spread of the finite numbers among `values`; None if there are none.

    Quartiles are interpolated linearly between order statistics, as numpy does by default: they are quartiles of the
    values seen and never lie outside them, as those of an estimated population may.
    """
    found = sorted(v for value in values if (v := number(value)) is not None and is_finite(v))
    if not found:
        return None
    if len(found) == 1:
        return Spread(found[0], found[0], found[0], 1)
    low, mid, high = statistics.quantiles(found, n=4, method="inclusive")
    return Spread(low, mid, high, len(found))


def params_of(row: Row, kind: str) -> dict[str, Value]:
    """The options of a row's case, sampler or estimator; empty where there are none."""
    params = row.get(f"{kind}_params")
    return params if isinstance(params, dict) else {}


def whole_params(row: Row, kind: str, defaults: Options) -> dict[str, Value]:
    """All options of a row's case, sampler or estimator: those an old row lacks are the defaults, or `BEFORE`."""
    return {**defaults, **BEFORE.get(text(row.get(kind)), {}), **params_of(row, kind)}


def weights_of(row: Row) -> str:
    """The weights of a row's case, such as "random weights (seed 0)"; empty if the row does not name any.

    This is the column `weights`, or "random weights" if an option of the case implies it.
    """
    said = text(row.get("weights")).strip()
    if said:
        return said
    for option, value in params_of(row, "case").items():
        if (option == "random_weights" and value) or ("weights" in str(option) and "random" in str(value).lower()):
            return "random weights"
    return ""
