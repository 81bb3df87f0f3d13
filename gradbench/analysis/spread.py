"""The spread of repeated numbers: median and quartiles."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gradbench.analysis.numbers import is_finite, number


@dataclass(frozen=True)
class Spread:
    """Median `mid`, quartiles `low` and `high` and number `n` of the finite values."""

    low: float
    mid: float
    high: float
    n: int


def spread(values: Iterable[Any]) -> Spread | None:
    """The spread of the finite numbers among `values`, quartiles by linear interpolation; None where there is none."""
    found = sorted(v for value in values if (v := number(value)) is not None and is_finite(v))
    if not found:
        return None
    if len(found) == 1:
        return Spread(found[0], found[0], found[0], 1)
    low, mid, high = statistics.quantiles(found, n=4, method="inclusive")
    return Spread(low, mid, high, len(found))
