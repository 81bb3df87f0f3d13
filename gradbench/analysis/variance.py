"""Bias and noise of estimators that draw, and the error that they leave for a given work."""

import math
from dataclasses import dataclass

from gradbench.analysis.cells import Cell
from gradbench.analysis.numbers import is_finite


@dataclass(frozen=True)
class Split:
    """All relative to the norm of the expected gradient g.

    bias: signed, <mean - g, g>/|g|^2, with its standard error. noise: of one draw, the root of the trace of its
    covariance. offset: |E[estimate] - g|/|g|, what no number of draws removes. nfe: network evaluations a draw.
    """

    bias: float
    std_error: float
    noise: float
    offset: float
    nfe: float
    draws: float

    def rmse(self, evaluations: float) -> float:
        """The root of the mean squared error that so many network evaluations leave: (offset^2 + noise^2/m)^(1/2)."""
        return math.hypot(self.offset, self.noise * math.sqrt(self.nfe / evaluations))


def split(cell: Cell, target: str) -> Split | None:
    """Bias and noise of a cell for one target; None where the cell drew nothing or no expected gradient is known.

    With m the mean of n draws, E|m - g|^2 = |E m - g|^2 + noise^2/n: the offset is `bias_norm` less the noise that n
    draws leave, and 0 where twice that noise may explain all of it.
    """
    names = (
        *(f"{name}_{target}" for name in ("bias", "std_error", "snr", "bias_norm", "expected_norm_ratio")),
        "draws",
    )
    values = [cell.median(name) for name in names]
    if not cell.measured or any(value is None or not is_finite(value) for value in values):
        return None
    bias, std_error, snr, distance, ratio, draws = (float(value) for value in values if value is not None)
    nfe = (cell.median("nfe_forward") or 0.0) + (cell.median("nfe_backward") or 0.0)
    if snr <= 0 or draws < 1 or nfe <= 0:
        return None
    noise = ratio / snr
    left = noise**2 / draws
    offset = math.sqrt(distance**2 - left) if distance**2 > 4 * left else 0.0
    return Split(bias, std_error, noise, offset, nfe, draws)
