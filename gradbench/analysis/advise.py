"""Which estimator to use for a task: from evidence of errors, predictions of memory and counts of network evaluations.

An estimator without evidence of its error is never advised, and never silently omitted.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gradbench.analysis.evidence import Evidence, Task

BACKWARD = 2.0  # time to pull one evaluation back, without its forward pass, in network evaluations


@dataclass(frozen=True)
class Option:
    """One estimator for the task; evaluations: forward, backward, VJPs.

    error, seconds: None without evidence; lacking: why the error has none. peak: None if it was not predicted, as no
    memory limit was given. rounding: of an estimator declared exact, if it was measured.
    """

    estimator: str
    peak: Evidence | None
    error: Evidence | None
    evaluations: tuple[float, float, float]
    seconds: Evidence | None = None
    rounding: Evidence | None = None
    lacking: str = "no rows"

    @property
    def work(self) -> float:
        """Network evaluations, each VJP as `BACKWARD` of them."""
        forward, backward, vjps = self.evaluations
        return forward + backward + BACKWARD * vjps


@dataclass(frozen=True)
class Advice:
    """The options that serve the task, best first; why others do not; those of unknown error, and why."""

    chosen: Sequence[Option]
    refused: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)


def advise(task: Task, options: Iterable[Option]) -> Advice:
    """The options that fit into memory with a known and small enough error, least work first.

    At equal work smaller errors come first, then smaller peaks. Without `max_error` the least error comes before the
    least work; errors within a tenth of the smallest are equal.
    """
    fit, refused, unknown = [], {}, {}
    for option in options:
        reason = _refusal(task, option)
        if reason is not None:
            refused[option.estimator] = reason
        elif option.error is None:
            unknown[option.estimator] = option.lacking
        else:
            fit.append((option.error.value, option))
    best = min((error for error, _ in fit), default=0.0)

    def order(item: tuple[float, Option]) -> tuple[float, float, float, float]:
        error, option = item
        rank = 0.0 if task.max_error is not None or error <= 1.1 * best else error
        return rank, option.work, error, math.inf if option.peak is None else option.peak.value

    return Advice([option for _, option in sorted(fit, key=order)], refused, unknown)


def _refusal(task: Task, option: Option) -> str | None:
    if option.peak is not None and option.peak.value > task.memory:
        need, room = option.peak.value / 2**30, task.memory / 2**30
        return f"needs {need:,.1f} GiB with its weights, {room:,.1f} GiB are available ({option.peak.how})"
    if task.max_error is not None and option.error is not None and option.error.value > task.max_error:
        return f"error {option.error.value:.2g} is above {task.max_error:g} ({option.error})"
    return None
