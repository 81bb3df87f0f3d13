"""Bias and noise of Monte Carlo estimators, and their error for a given amount of work."""

import math
from dataclasses import dataclass

from gradbench.analysis.cells import Group
from gradbench.analysis.costs import evaluations
from gradbench.analysis.rows import is_finite

WORK = 1000
"""Network evaluations after which Monte Carlo errors are compared."""


def noise(cell: Group, target: str, reference: str = "expected") -> float | None:
    """The standard deviation of one draw over the norm of the reference g: (|m|/|g|)/snr, with m the mean of all draws.

    snr is |m| over that standard deviation, the root of the trace of the covariance. 1/snr alone is relative to |m|:
    too small where the mean is longer than g, too large where it is shorter. A row without |m|/|g| has no other number,
    and |m| = |g| is assumed. None if there were no draws or no noise is known.
    """
    snr, ratio = cell.median(f"snr_{target}"), cell.median(f"{reference}_norm_ratio_{target}")
    if not is_finite(snr) or snr <= 0 or not cell.median("draws"):
        return None
    return (ratio if is_finite(ratio) else 1.0) / snr


@dataclass(frozen=True)
class Split:
    """All relative to the norm of the expected gradient g.

    bias: signed, <mean - g, g>/|g|^2, with its standard error. noise: of one draw, the root of the trace of its
    covariance. offset: |E[estimate] - g|/|g|, what no number of draws removes. nfe: network evaluations per draw.
    """

    bias: float
    std_error: float
    noise: float
    offset: float
    nfe: float
    draws: float

    @property
    def margin(self) -> float:
        """By how much the bias may be off: two standard errors."""
        return 2 * self.std_error

    @property
    def hidden(self) -> bool:
        """Whether the bias may be 0."""
        return abs(self.bias) <= self.margin

    def spread(self, evaluations: float) -> float:
        """Noise of the mean of the m draws that this many network evaluations buy: noise/m^(1/2)."""
        return self.noise * math.sqrt(self.nfe / evaluations)

    def rmse(self, evaluations: float) -> float:
        """The root mean squared error that this many network evaluations leave: (offset^2 + noise^2/m)^(1/2)."""
        return math.hypot(self.offset, self.spread(evaluations))


def split(cell: Group, target: str) -> Split | None:
    """Bias and noise of a cell for one target; None without draws or a known expected gradient.

    With m the mean of n draws, E|m - g|^2 = |E m - g|^2 + noise^2/n: the offset is `bias_norm` less the noise that n
    draws leave, and 0 if twice that noise may explain all of it.
    """
    names = (*(f"{name}_{target}" for name in ("bias", "std_error", "bias_norm")), "draws")
    values, spread = [cell.median(name) for name in names], noise(cell, target)
    if not cell.measured or spread is None or any(value is None or not is_finite(value) for value in values):
        return None
    bias, std_error, distance, draws = (float(value) for value in values if value is not None)
    nfe = evaluations(cell)
    if draws < 1 or not nfe:
        return None
    left = spread**2 / draws
    offset = math.sqrt(distance**2 - left) if distance**2 > 4 * left else 0.0
    return Split(bias, std_error, spread, offset, nfe, draws)
