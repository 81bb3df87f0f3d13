"""The cost of a gradient, its memory peak taken apart, and both beside the predictions.

A row's counts and time are for one draw; its error is that of the mean of all draws.
"""

from dataclasses import dataclass, replace
from typing import Any

from gradbench.analysis.cells import Group
from gradbench.analysis.rows import Spread, is_finite, median, number, params_of, spread
from gradbench.bench.row import Row

COSTS = ("time", "nfe", "vjps", "memory")


def cost(cell: Group, kind: str) -> Spread | None:
    """The spread of one cost over the rows that succeeded; None if it was not measured.

    kind: `time` in seconds; `nfe`, network evaluations of both passes; `vjps`; `memory`, the peak in bytes. All are for
    all draws together, made one by one, so memory does not grow with them. The middle of times is the median of the
    rows' own times, which are means over draws if the cost of a draw is random; quartiles are over all samples.
    """
    found = spread(value for row in cell.measured for value in _values(row, kind))
    own = spread(_of_all(row, row.get("time_s")) for row in cell.measured) if kind == "time" else None
    return replace(found, mid=own.mid) if found and own else found


def evaluations(cell: Group) -> float | None:
    """Network evaluations of both passes of one draw, median over the rows; None if they were not counted."""
    return median(_evaluations(row) for row in cell.measured or cell.rows)


@dataclass(frozen=True)
class Parts:
    """Bytes over the baseline: states + tape + rest = peak. `baseline` is weights, inputs and given noises."""

    states: float
    tape: float
    rest: float
    peak: float
    baseline: float

    @property
    def total(self) -> float:
        """What a card must hold, without the allocator's own losses."""
        return self.baseline + self.peak


def parts(cell: Group) -> Parts | None:
    """The parts of a cell's median peak; None if the peak was not measured.

    tape: `tape_bytes`, of one step. states: `state_bytes` times the states held, or what the peak leaves for them.
    rest: all else, such as the tapes of further steps, gradients and the objective.
    """
    peak = cell.median("peak_bytes")
    if not cell.measured or peak is None or not is_finite(peak):
        return None
    tape = min(cell.median("tape_bytes") or 0.0, peak)
    states = min((cell.median("state_bytes") or 0.0) * held(cell), peak - tape)
    return Parts(states, tape, peak - tape - states, peak, cell.median("baseline_bytes") or 0.0)


def held(cell: Group) -> int:
    """How many states are kept: one if inversion or a second solve recovers them, else one per step."""
    options, steps = params_of(cell.rows[0], "estimator"), cell.steps or 0
    trajectory, snapshots = options.get("trajectory"), number(options.get("snapshots"))
    if cell.rows[0].get("estimator") == "reversible" or trajectory in ("resolved", "inverted"):
        return min(1, steps)
    if snapshots is not None and trajectory in (None, "binomial"):
        return min(int(snapshots), steps)
    return steps


BAND = 0.05  # relative: how close a prediction of memory, and a gradient's time, should be


@dataclass(frozen=True)
class PredictedBytes:
    """A cell's peak over weights and inputs: predicted from shapes, requested from the allocator, counted by it.

    unseen: requests beyond the prediction, such as workspaces of kernels and sums of attention. rounding: what blocks
    add. idle: what the allocator took from the card beyond the peak and the baseline, in pieces too small to use.
    """

    predicted: float
    peak: float
    requested: float | None
    reserved: float | None
    baseline: float

    @property
    def difference(self) -> float:
        """The share by which the measured peak is above the predicted one."""
        return self.peak / self.predicted - 1

    @property
    def parts(self) -> dict[str, float | None]:
        """The three differences, None if the allocator gave no number."""
        asked, reserved = self.requested, self.reserved
        return {
            "unseen_bytes": None if asked is None else asked - self.predicted,
            "rounding_bytes": None if asked is None else self.peak - asked,
            "idle_bytes": None if reserved is None else reserved - self.peak - self.baseline,
        }


def predicted_bytes(cell: Group) -> PredictedBytes | None:
    """None if a cell has no prediction besides its peak."""
    names = ("predicted_peak_bytes", "peak_bytes", "requested_bytes", "reserved_bytes", "baseline_bytes")
    predicted, peak, requested, reserved, baseline = map(cell.median, names)
    if cell.status != "ok" or not predicted or not peak or baseline is None:
        return None
    return PredictedBytes(predicted, peak, requested, reserved, baseline)


def overhead(cell: Group) -> float | None:
    """T / ((NFE_forward + NFE_backward) F + VJPs B): a gradient's time over that of its evaluations and VJPs alone.

    None if the cell did not end well or any of these was not measured.
    """
    evaluation, vjp = cell.median("evaluation_s"), cell.median("vjp_s")
    time, nfe, vjps = (cost(cell, kind) for kind in ("time", "nfe", "vjps"))
    if cell.status != "ok" or evaluation is None or vjp is None or not (time and nfe and vjps):
        return None
    alone = nfe.mid * evaluation + vjps.mid * vjp
    return time.mid / alone if alone else None


def _values(row: Row, kind: str) -> list[float | None]:
    if kind == "memory":
        return [number(row.get("peak_bytes"))]
    if kind == "time":
        samples = row.get("time_samples")
        return [
            _of_all(row, time) for time in (samples if samples is not None and len(samples) else [row.get("time_s")])
        ]
    return [_of_all(row, _evaluations(row) if kind == "nfe" else row.get("vjps"))]


def _of_all(row: Row, one: Any) -> float | None:
    """The cost of all draws, of that of one."""
    known = number(one)
    return None if known is None else known * (number(row.get("draws")) or 1.0)


def _evaluations(row: Row) -> float | None:
    found = [count for way in ("forward", "backward") if (count := number(row.get(f"nfe_{way}"))) is not None]
    return sum(found) if found else None
