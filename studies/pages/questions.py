"""Questions that pages ask about the rows, beyond a single number."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gradbench.analysis.cells import cells
from gradbench.analysis.noise import Split, split
from studies.pages.formats import spread as spread_text
from studies.pages.published import Published, Row

WORDS = {"diverged": "not finite", "timeout": "out of time", "oom": "out of memory", "error": "in error"}


CONTINUOUS = ("adjoint-deis", "adjoint-deis[order=2]", "adjoint-dpm[rule=rk4]", "continuous-adjoint")


class Direction(NamedTuple):
    """The mean of an estimate in units of the gradient's norm: its part along the gradient, and across it."""

    along: float
    across: float

    @property
    def ratio(self) -> float:
        """Its length."""
        return math.hypot(self.along, self.across)

    @property
    def cosine(self) -> float:
        """Its cosine with the gradient."""
        return self.along / self.ratio if self.ratio else math.nan


def claim(true: bool, words: str) -> str:
    """The words, if the rows support them; otherwise `ValueError`, so that no page says anything false."""
    if not true:
        raise ValueError(f"the rows do not bear out: {words}")
    return words


def questions(rows: Published, predictions: list[Row]) -> dict[str, Callable[..., Any]]:
    """The functions called by templates, by name. predictions: the output of `gradbench predict --json`."""

    def draws(estimator: str, target: str, steps: int = 20, **rest: Any) -> Split:
        """Bias and noise of a Monte Carlo estimator, relative to the expected gradient of a stochastic chain."""
        where = {"case": "gaussian", "sampler": "ddim[eta=1]", **rest}
        (cell,) = cells(rows.find(where.pop("case"), estimator, steps, **where))
        found = split(cell, target)
        if found is None:
            raise KeyError(f"{rows.name}: {estimator} has no bias and noise of {target}")
        return found

    def direction(estimator: str, target: str, steps: int = 20, **rest: Any) -> Direction:
        """The direction and length of a Monte Carlo estimator's mean, corrected for its own noise."""
        known = draws(estimator, target, steps, **rest)
        return Direction(1 + known.bias, max(0.0, known.offset**2 - known.bias**2) ** 0.5)

    def evaluations(estimator: str, target: str, error: float = 0.1, rescaled: bool = False, **rest: Any) -> float:
        """Network evaluations for that relative root mean square error; infinite if the bias alone is larger.

        rescaled: for the estimate times the number that makes its mean as long along the gradient as the gradient, like
        a learning rate.
        """
        known = draws(estimator, target, **rest)
        offset, noise = known.offset, known.noise
        if rescaled:
            mean = direction(estimator, target, **rest)
            if mean.along <= 0:
                return math.inf
            offset, noise = mean.across / mean.along, noise / mean.along
        room = error**2 - offset**2
        return known.nfe * max(1.0, noise**2 / room) if room > 0 else math.inf

    def total(case: str, estimator: str, steps: int = 20, **rest: Any) -> float:
        """Network evaluations of both passes."""
        return sum(rows.value(f"nfe_{way}", case, estimator, steps, **rest) for way in ("forward", "backward"))

    def break_even(case: str) -> float:
        """The number of steps at which all states of the chain are as large as the tape of one step."""
        tape, state = (rows.value(f"{part}_bytes", case, "checkpoint") for part in ("tape", "state"))
        return tape / state

    def ended_badly() -> str:
        """In words, the number of rows neither measured nor skipped."""
        counts = Counter(row["status"] for row in rows.rows if row["status"] not in ("ok", "skip"))
        return "".join(f", {count} {WORDS.get(status, status)}" for status, count in counts.most_common())

    def predicted(estimator: str) -> Row:
        """The prediction for Stable Diffusion 1.5 with that estimator and its default options."""
        return next(row for row in predictions if row["estimator"] == estimator and "peak_bytes" in row)

    def in_all(estimator: str) -> float:
        """Bytes of weights, inputs and peak."""
        return predicted(estimator)["baseline_bytes"] + predicted(estimator)["peak_bytes"]

    def nearest(
        case: str,
        target: str,
        steps: int = 20,
        reference: str = "sampler",
        among: Sequence[str] = CONTINUOUS,
        **rest: Any,
    ) -> str:
        """The least median error of some estimators, by default continuous adjoints, with its range and estimator."""
        rows.seeds(rows.fewest)
        errors = {name: rows.spread(f"{reference}_error_{target}", case, name, steps, **rest) for name in among}
        name = min(errors, key=lambda name: errors[name].median)
        return f"{spread_text(errors[name])} (`{name}`)"

    def better_from(column: str, case: str, one: str, other: str, among: Sequence[int], **rest: Any) -> str:
        """The measured number of steps from which one estimator's median stays below the other's."""
        below = [rows.value(column, case, one, n, **rest) < rows.value(column, case, other, n, **rest) for n in among]
        first = next((i for i in range(len(among)) if all(below[i:])), None)
        return "at no number of steps measured" if first is None else f"from {among[first]} steps on"

    own = (
        *(claim, draws, direction, evaluations, total, break_even, ended_badly, predicted, in_all, nearest),
        better_from,
    )
    return {function.__name__: function for function in own} | {
        name: getattr(rows, name) for name in ("find", "has", "value", "spread", "seeds", "order", "count", "all")
    }
