"""A peak of memory taken apart: states, one step's tape, and the rest."""

from dataclasses import dataclass

from gradbench.analysis.cells import Cell
from gradbench.analysis.label import params_of
from gradbench.analysis.numbers import is_finite, number


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
        """What a card must hold, the allocator's own losses left out."""
        return self.baseline + self.peak


def parts(cell: Cell) -> Parts | None:
    """The parts of a cell's median peak; None where the peak was not measured.

    tape: `tape_bytes`, that of one step. states: `state_bytes` times the states held, or what the peak leaves for them.
    rest: all else, such as the tapes of further steps, gradients and the objective.
    """
    peak = cell.median("peak_bytes")
    if not cell.measured or peak is None or not is_finite(peak):
        return None
    tape = min(cell.median("tape_bytes") or 0.0, peak)
    states = min((cell.median("state_bytes") or 0.0) * held(cell), peak - tape)
    return Parts(states, tape, peak - tape - states, peak, cell.median("baseline_bytes") or 0.0)


def held(cell: Cell) -> int:
    """How many states the estimator keeps: one where they come back by inversion or a second solve, else one a step."""
    options, steps = params_of(cell.rows[0], "estimator"), cell.steps or 0
    trajectory, snapshots = options.get("trajectory"), number(options.get("snapshots"))
    if cell.rows[0].get("estimator") == "reversible" or trajectory in ("resolved", "inverted"):
        return min(1, steps)
    if snapshots is not None and trajectory in (None, "binomial"):
        return min(int(snapshots), steps)
    return steps
