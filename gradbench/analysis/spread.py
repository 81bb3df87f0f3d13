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
    """The spread of the finite numbers among `values`; None where there is none.

    Quartiles are interpolated linearly between order statistics, as numpy does by default: they are quartiles of what
    was seen and never lie outside of it, as those of an estimated population may.
    """
    found = sorted(v for value in values if (v := number(value)) is not None and is_finite(v))
    if not found:
        return None
    if len(found) == 1:
        return Spread(found[0], found[0], found[0], 1)
    low, mid, high = statistics.quantiles(found, n=4, method="inclusive")
    return Spread(low, mid, high, len(found))
