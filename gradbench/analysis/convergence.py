"""The order at which an error falls, fitted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Power:
    """y ~ factor * x^slope over `points` points; slope lies in [low, high] at 95 %, by Student's t on the residuals.

    The interval is infinite where two points leave no residual.
    """

    slope: float
    low: float
    high: float
    factor: float
    points: int

    def at(self, x: float) -> float:
        """The fitted value at x."""
        return self.factor * x**self.slope


def fit_power(xs: Sequence[float], ys: Sequence[float]) -> Power | None:
    """The least-squares line through log y over log x; None with fewer than two different x."""
    kept = [(math.log(x), math.log(y)) for x, y in zip(xs, ys, strict=True) if x > 0 and 0 < y < math.inf]
    if len({x for x, _ in kept}) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(kept) for column in zip(*kept, strict=True))
    square = sum((x - mean_x) ** 2 for x, _ in kept)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in kept) / square
    residual = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in kept)
    half = _half_width(len(kept) - 2, residual, square)
    return Power(slope, slope - half, slope + half, math.exp(mean_y - slope * mean_x), len(kept))


def fit_order(steps: Sequence[float], errors: Sequence[float], floor: float = 0.0) -> Power | None:
    """The power of the steps at which an error falls: its slope is minus the order.

    Errors not above 3 floors (rounding or the reference has a share in them) or not below 1 (no digit is right) tell no
    order and are left out.
    """
    kept = [(n, e) for n, e in zip(steps, errors, strict=True) if 3 * floor < e < 1]
    return fit_power([n for n, _ in kept], [e for _, e in kept])


def _half_width(freedom: int, residual: float, square: float) -> float:
    if freedom < 1:
        return math.inf
    from scipy import stats

    return float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(residual / freedom / square)
