"""What pages ask of the rows beyond a single number."""

import datetime
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gradbench.analysis.cells import cells
from gradbench.analysis.variance import Split, split
from studies.pages.formats import error as error_text
from studies.pages.published import Published, Row

WORDS = {"diverged": "not finite", "timeout": "out of time", "oom": "out of memory", "error": "in error"}


CONTINUOUS = ("adjoint-deis", "adjoint-dpm", "adjoint-dpm[rule=rk4]", "continuous-adjoint", "torchdiffeq-adjoint")


def questions(rows: Published, predictions: list[Row]) -> dict[str, Callable[..., Any]]:
    """The functions that templates call, by name. predictions: what `gradbench predict --json` printed."""

    def draws(estimator: str, target: str, steps: int = 20, **rest: Any) -> Split:
        """Bias and noise of an estimator that draws, relative to the expected gradient of a stochastic chain."""
        where = {"case": "gaussian", "sampler": "ddim[eta=1]", **rest}
        (cell,) = cells(rows.find(where.pop("case"), estimator, steps, **where))
        found = split(cell, target)
        if found is None:
            raise KeyError(f"{rows.name}: {estimator} has no bias and noise of {target}")
        return found

    def evaluations(estimator: str, target: str, error: float = 0.1, **rest: Any) -> float:
        """Network evaluations for that relative root mean square error; infinite where the bias alone is larger."""
        known = draws(estimator, target, **rest)
        room = error**2 - known.offset**2
        return known.nfe * max(1.0, known.noise**2 / room) if room > 0 else math.inf

    def total(case: str, estimator: str, steps: int = 20, **rest: Any) -> float:
        """Network evaluations of both passes."""
        return sum(rows.value(f"nfe_{way}", case, estimator, steps, **rest) for way in ("forward", "backward"))

    def break_even(case: str) -> float:
        """The steps at which all states of the chain are as large as the tape of one step."""
        tape, state = (rows.value(f"{part}_bytes", case, "checkpoint") for part in ("tape", "state"))
        return tape / state

    def ended_badly() -> str:
        """In words, how many rows are neither measured nor skipped."""
        counts = Counter(row["status"] for row in rows.rows if row["status"] not in ("ok", "skip"))
        return "".join(f", {count} {WORDS.get(status, status)}" for status, count in counts.most_common())

    def date() -> str:
        return datetime.datetime.fromisoformat(min(rows.all("started_at"))).strftime("%Y-%m-%d")

    def predicted(estimator: str) -> Row:
        """What `predict` said of Stable Diffusion 1.5 with that estimator and its default options."""
        return next(row for row in predictions if row["estimator"] == estimator and "peak_bytes" in row)

    def in_all(estimator: str) -> float:
        """Bytes of weights, inputs and peak."""
        return predicted(estimator)["baseline_bytes"] + predicted(estimator)["peak_bytes"]

    def nearest(
        case: str, target: str, steps: int = 20, reference: str = "sampler", among: Sequence[str] = CONTINUOUS
    ) -> str:
        """The least error of some estimators, by default continuous adjoints, and whose it is."""
        errors = {name: rows.value(f"{reference}_error_{target}", case, name, steps) for name in among}
        name = min(errors, key=lambda name: errors[name])
        return f"{error_text(errors[name])} (`{name}`)"

    own = (draws, evaluations, total, break_even, ended_badly, date, predicted, in_all, nearest)
    return {function.__name__: function for function in own} | {
        name: getattr(rows, name) for name in ("find", "value", "order", "count", "one", "all")
    }
