"""Which estimator to use for a task: from rows, from predictions of memory and from counts of network evaluations.

Every number says how it is known. An estimator without evidence of its error is never advised.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradbench.analysis.label import params_of, whole_params
from gradbench.analysis.numbers import is_finite, median, number
from gradbench.entry import Catalogue
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.samplers.catalogue import SAMPLERS

HERE, ELSEWHERE, PREDICTED, EXTRAPOLATED, EXACT = (
    "measured here",
    "measured elsewhere",
    "predicted",
    "extrapolated",
    "exact by construction",
)
BACKWARD = 2.0  # evaluations of the network that one pulled-back evaluation takes as long as, beside its forward pass
Row = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """A number, how it is known (one of the words above), and from what."""

    value: float
    how: str
    source: str = ""

    def __str__(self) -> str:
        return self.how + (f", {self.source}" if self.source else "")


@dataclass(frozen=True)
class Task:
    """What is asked for. memory: bytes that weights and peak may take together. reference: of the error, one of flow,
    sampler, expected. max_error: None where the least error is wanted.
    """

    case: str
    case_params: dict[str, object]
    sampler: str
    sampler_params: dict[str, object]
    steps: int
    target: str
    dtype: str
    memory: float
    reference: str = "sampler"
    max_error: float | None = None
    machine: str = ""


@dataclass(frozen=True)
class Option:
    """One estimator for the task. error, seconds: None without evidence. evaluations: forward, backward, VJPs."""

    estimator: str
    peak: Evidence
    error: Evidence | None
    evaluations: tuple[int, int, int]
    seconds: Evidence | None = None

    @property
    def work(self) -> float:
        """Network evaluations, a VJP counted as `BACKWARD` of them."""
        forward, backward, vjps = self.evaluations
        return forward + backward + BACKWARD * vjps


@dataclass(frozen=True)
class Advice:
    """The options that serve the task, the best first, and why each of the others does not."""

    chosen: Sequence[Option]
    refused: dict[str, str] = field(default_factory=dict)


def advise(task: Task, options: Iterable[Option]) -> Advice:
    """Of those that fit into memory with an error that is known and small enough, the least work; then the least error.

    Without `max_error` the least error comes first. Errors that differ by less than a tenth are the same.
    """
    fit, refused = [], {}
    for option in options:
        reason = _refusal(task, option)
        if reason is None:
            fit.append(option)
        else:
            refused[option.estimator] = reason
    best = min((o.error.value for o in fit if o.error), default=0.0)

    def order(option: Option) -> tuple[float, float, float]:
        assert option.error is not None
        error = option.error.value
        rank = 0.0 if task.max_error is not None or error <= 1.1 * best else error
        return rank, option.work, option.peak.value

    return Advice(sorted(fit, key=order), refused)


def _refusal(task: Task, option: Option) -> str | None:
    if option.peak.value > task.memory:
        need, room = option.peak.value / 2**30, task.memory / 2**30
        return f"needs {need:,.1f} GiB with its weights, {room:,.1f} GiB are there ({option.peak})"
    if option.error is None:
        return "there is no evidence of its error: no rows of this case, nor of another network"
    if task.max_error is not None and option.error.value > task.max_error:
        return f"error {option.error.value:.2g} is above {task.max_error:g} ({option.error})"
    return None


Chosen = tuple[str, dict[str, object]]  # an estimator's name and all its options


def error_of(task: Task, estimator: Chosen, rows: Iterable[Row], exact: bool) -> Evidence | None:
    """The error of an estimator for the task, from the rows that are nearest to it.

    Of an exact estimator against the sampler's gradient it is 0 but for rounding, which all share. Rows of the case at
    these steps are measurements; at other steps, or of other cases with a network, the largest error is taken and said
    to be extrapolated.
    """
    if exact and task.reference == "sampler":
        return Evidence(0.0, EXACT, "rounding left out")
    own = [row for row in _of(task, estimator, rows) if row.get("status") == "ok" and _error(task, row) is not None]
    same = [row for row in own if row.get("case") == task.case]
    at = [row for row in same if row.get("steps") == task.steps]
    if at:
        here = [row for row in at if row.get("machine_id") == task.machine]
        value = median(_error(task, row) for row in here or at)
        return None if value is None else Evidence(value, HERE if here else ELSEWHERE, _count(here or at))
    near = same or [row for row in own if row.get("weights") or row.get("case") == "digits"]
    errors = [error for row in near if (error := _error(task, row)) is not None]
    if not errors:
        return None
    steps = sorted({str(row["steps"]) for row in near}, key=int)
    cases = sorted({str(row["case"]) for row in near})
    return Evidence(max(errors), EXTRAPOLATED, f"largest of {', '.join(cases)} at {', '.join(steps)} steps")


def seconds_of(task: Task, estimator: Chosen, rows: Iterable[Row]) -> Evidence | None:
    """Seconds of one estimate of the case, in proportion to steps; None where it was not timed in this precision."""
    own = [
        row
        for row in _of(task, estimator, rows)
        if row.get("case") == task.case
        and row.get("dtype") == task.dtype
        and params_of(row, "case") == task.case_params
        and is_finite(number(row.get("time_s")))
    ]
    if not own:
        return None
    here = [row for row in own if row.get("machine_id") == task.machine]
    chosen = here or own
    value = median((number(row["time_s"]) or 0.0) * task.steps / int(str(row["steps"])) for row in chosen)
    scaled = any(row["steps"] != task.steps for row in chosen)
    how = EXTRAPOLATED if scaled else HERE if here else ELSEWHERE
    place = str(chosen[0].get("gpu") or chosen[0].get("cpu") or "another machine")
    return None if value is None else Evidence(value, how, f"{_count(chosen)} on {place}")


def _error(task: Task, row: Row) -> float | None:
    """The method's own error where precision is told apart, else the whole."""
    if task.reference == "sampler":
        own = number(row.get(f"method_error_{task.target}"))
        if is_finite(own):
            return own
    value = number(row.get(f"{task.reference}_error_{task.target}"))
    return value if is_finite(value) else None


def _of(task: Task, estimator: Chosen, rows: Iterable[Row]) -> list[Row]:
    """The rows of that estimator behind the task's sampler, of any case; what old rows lack is the default."""
    wanted = (*estimator, task.sampler, task.sampler_params)

    def whole(row: Row, kind: str, catalogue: Catalogue) -> tuple[Any, dict[str, Any]]:
        name = str(row.get(kind))
        return name, whole_params(row, kind, catalogue[name].defaults if name in catalogue else {})

    return [r for r in rows if (*whole(r, "estimator", ESTIMATORS), *whole(r, "sampler", SAMPLERS)) == wanted]


def _count(rows: Sequence[Row]) -> str:
    return f"{len(rows)} row{'s' * (len(rows) != 1)}"
