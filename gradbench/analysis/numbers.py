"""Numbers out of rows, where any value may be missing, NaN or infinite."""

import math
import statistics
from collections.abc import Iterable
from typing import Any, TypeGuard


def number(value: Any) -> float | None:
    """`value` as a float; None where it is missing or no number; NaN becomes inf, because it is no better."""
    if value is None or isinstance(value, bool | str | bytes):
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return math.inf if math.isnan(result) else result


def median(values: Iterable[Any]) -> float | None:
    """The median of the numbers among `values`; None where there is none."""
    numbers = [result for value in values if (result := number(value)) is not None]
    return statistics.median(numbers) if numbers else None


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
