"""What rows show about an estimator's error and time, and for which problem.

A row is a measurement of the task if its whole problem is the task's. Else it may be extrapolated from, and every
parameter in which the two differ is named. A row of another sampler, or with other options of it, shows nothing: an
adjoint's error there may be any number.
"""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gradbench.analysis.rows import is_finite, number, whole_params
from gradbench.analysis.words import counted
from gradbench.bench.row import Row
from gradbench.entry import Catalogue
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.problems.folders import case_specs, folders
from gradbench.problems.spec import TARGETS
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.selector import render

HERE, ELSEWHERE, PREDICTED, EXTRAPOLATED, EXACT = (
    "measured here",
    "measured elsewhere",
    "predicted",
    "extrapolated",
    "declared exact",
)
Chosen = tuple[str, Mapping[str, object]]  # an estimator's name and all its options
Measure = Callable[[Row], "float | None"]
Combine = Callable[[list[float]], float]
TRAINED = ("digits", "emoji")  # cases whose networks ship trained
SAME_CASE, TRAINED_NETWORK, RANDOM_NETWORK, OTHER_LAW = range(4)
Differences = dict[str, tuple[Any, Any]]  # parameter's name -> the row's value, the task's
Known = tuple[Row, float, Differences]


@dataclass(frozen=True)
class Evidence:
    """A number, how it is known (one of the words above), from what, and from how much of it.

    spread: the least and the largest of several seeds, or of the cells that it is extrapolated from.
    """

    value: float
    how: str
    source: str = ""
    amount: str = ""
    spread: tuple[float, float] | None = None

    @property
    def origin(self) -> str:
        """How it is known, and from what."""
        return self.how + (f"{' from ' if self.how == EXTRAPOLATED else ', '}{self.source}" if self.source else "")

    def said(self, origin: str) -> str:
        """The origin as worded, and how much evidence there is."""
        ends = [f"{end:.2g}" for end in self.spread or ()]
        return ", ".join(filter(None, (origin, self.amount, " to ".join(ends) if len(set(ends)) == 2 else "")))

    def __str__(self) -> str:
        return self.said(self.origin)


@dataclass(frozen=True)
class Task:
    """What is asked for; memory: bytes for weights and peak together; reference: flow or sampler, for the error.
    max_error: None if the least error is wanted. An error is the largest over the targets.
    """

    case: str
    case_params: Mapping[str, object]
    sampler: str
    sampler_params: Mapping[str, object]
    steps: int
    targets: tuple[str, ...]
    dtype: str
    memory: float
    device: str = "cpu"
    reference: str = "sampler"
    max_error: float | None = None
    machine: str = ""


def machine_of(row: Row) -> str:
    """The machine of a row or provenance, with its processor, as clones of a virtual machine share an identity."""
    return ", ".join(str(row[name]) for name in ("machine_id", "cpu") if row.get(name))


def differences(task: Task, row: Row) -> Differences:
    """The parameters of the problem, except the sampler's, in which a row differs from the task.

    For another case, those that both have.
    """
    here = {**_case_defaults(task.case), **task.case_params}
    there = whole_params(row, "case", _case_defaults(str(row.get("case"))))
    names = [*here, *(name for name in there if name not in here)]
    if row.get("case") != task.case:
        names = [name for name in names if name in here and name in there]
    pairs: Differences = {"case": (row.get("case"), task.case)}
    pairs |= {name: (there.get(name), here.get(name)) for name in names}
    pairs |= {name: (row.get(name), getattr(task, name)) for name in ("steps", "dtype")}
    pairs["targets"] = (_in_order(row.get("targets") or ()), _in_order(task.targets))
    pairs["device"] = (row.get("device") or "cpu", task.device)
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def error_of(task: Task, estimator: Chosen, rows: Iterable[Row], exact: bool) -> Evidence | None:
    """The error of an estimator for the task, from the rows nearest to it; None without any.

    Equal gradients have one error. For an estimator that declares itself exact it is 0 against the sampler's gradient,
    up to rounding; against the flow's it is that of any exact estimator measured, from the one rounded least. Rows of
    the very problem are measurements: the median over seeds. Of rows of other problems (fewest differences first, the
    same case before another network), the largest error is taken.
    """
    if exact and task.reference == "sampler":
        return Evidence(0.0, EXACT)
    if not exact:
        return _nearest(task, same_sampler(task, rows_of(estimator, rows)), lambda row: error_in(task, row))
    alike = [row for row in rows if _is_exact(row) or _whole(row, "estimator", ESTIMATORS) == estimator]
    return _nearest(task, same_sampler(task, alike), lambda row: error_in(task, row), min)


def rounding_of(task: Task, estimator: Chosen, rows: Iterable[Row]) -> Evidence | None:
    """An exact estimator's distance from the sampler's gradient, due to rounding; None without rows.

    Rows of another precision are no evidence.
    """

    def rounding(row: Row) -> float | None:
        return _largest(number(row.get(f"sampler_error_{target}")) for target in task.targets)

    own = [row for row in same_sampler(task, rows_of(estimator, rows)) if row.get("dtype") == task.dtype]
    return _nearest(task, own, rounding)


def seconds_of(task: Task, estimator: Chosen, rows: Iterable[Row]) -> Evidence | None:
    """Seconds for one estimate of the task, in proportion to steps, from rows that differ at most in targets and steps.
    None if no such row was timed. The machine is this one, else the one with the most rows.
    """
    own = [
        (row, found)
        for row in same_sampler(task, rows_of(estimator, rows))
        if is_finite(number(row.get("time_s"))) and set(found := differences(task, row)) <= {"steps", "targets"}
    ]
    if not own:
        return None
    fewest = min(len(found) for _, found in own)
    near = [(row, found) for row, found in own if len(found) == fewest]
    machines = [machine_of(row) for row, _ in near]
    machine = task.machine if task.machine in machines else statistics.mode(machines)
    near = [(row, found) for row, found in near if machine_of(row) == machine]
    values = [(number(row["time_s"]) or 0.0) * task.steps / int(str(row["steps"])) for row, _ in near]
    last = near[-1][0]
    place = f"on {last.get('gpu') or last.get('cpu') or 'another machine'}"
    spread = (min(values), max(values)) if len(values) > 1 else None
    if fewest:
        how, source = EXTRAPOLATED, f"{_named([found for _, found in near])} {place}"
    else:
        how, source = (HERE if machine == task.machine else ELSEWHERE), place
    return Evidence(statistics.median(values), how, source, counted(len(values), "row"), spread)


def error_in(task: Task, row: Row) -> float | None:
    """The largest error over the task's targets, the method's own if precision is separated out.
    None if it is unknown for one target.
    """

    def of(target: str) -> float | None:
        own = number(row.get(f"method_error_{target}")) if task.reference == "sampler" else None
        return own if is_finite(own) else number(row.get(f"{task.reference}_error_{target}"))

    return _largest(of(target) for target in task.targets)


def rows_of(estimator: Chosen, rows: Iterable[Row]) -> list[Row]:
    """Rows of this estimator with these options; any that old rows lack are defaults."""
    return [row for row in rows if _whole(row, "estimator", ESTIMATORS) == estimator]


def same_sampler(task: Task, rows: Iterable[Row]) -> list[Row]:
    """Rows that succeeded with the task's sampler and its options."""
    wanted = (task.sampler, task.sampler_params)
    return [row for row in rows if row.get("status") == "ok" and _whole(row, "sampler", SAMPLERS) == wanted]


def why_none(task: Task, estimator: Chosen, rows: Iterable[Row]) -> str:
    """Why `error_of` has nothing on the estimator."""
    own = rows_of(estimator, rows)
    near = same_sampler(task, own)
    if not own:
        return "no rows of it with these options"
    if all(row.get("status") != "ok" for row in own):
        return f"its {counted(len(own), 'row')} ended in {_some(sorted({str(row['status']) for row in own}))}"
    if not near:
        samplers = sorted({render(*_whole(row, "sampler", SAMPLERS)) for row in own})
        return f"its {counted(len(own), 'row')} are for other samplers, {_some(samplers)}"
    if all(error_in(task, row) is None for row in near):
        return f"its {counted(len(near), 'row')} for this sampler are not compared with the {task.reference}'s gradient"
    cases = _some(sorted({str(row["case"]) for row in near}))
    return f"its {counted(len(near), 'row')} for this sampler are from {cases}, which cannot stand in for {task.case}"


def unreached(task: Task, estimator: Chosen, rows: Iterable[Row]) -> list[str]:
    """The task's targets whose gradient was requested but is in no row."""
    near = same_sampler(task, rows_of(estimator, rows))
    asked = {target: [row for row in near if target in (row.get("targets") or ())] for target in task.targets}
    return [t for t, own in asked.items() if own and all(number(row.get(f"grad_norm_{t}")) is None for row in own)]


def _nearest(
    task: Task, rows: Iterable[Row], measure: Measure, combine: Combine = statistics.median
) -> Evidence | None:
    """What the rows say that differ from the task in the fewest parameters, the same case first.

    Of other numbers of steps, the nearest lower and higher count. combine: several rows of one problem and seed.
    """
    known: list[Known] = [(row, value, differences(task, row)) for row in rows if is_finite(value := measure(row))]
    ranks = [_rank(row, found) for row, _, found in known]
    best = min(ranks, default=(OTHER_LAW, 0))
    if best[0] == OTHER_LAW:
        return None
    near = [item for item, rank in zip(known, ranks, strict=True) if rank == best]
    near = _bracketing(task.steps, near)
    measured = not near[0][2]
    here = [item for item in near if machine_of(item[0]) == task.machine]
    if measured and here:
        near = here
    cells: dict[str, list[float]] = {}
    for row, value, found in near:
        cells.setdefault(json.dumps([found, row.get("seed")], sort_keys=True, default=str), []).append(value)
    values = [combine(found) for found in cells.values()]
    spread = (min(values), max(values)) if min(values) != max(values) else None
    if measured:
        amount = "one seed" if len(values) == 1 else f"median of {len(values)} seeds"
        return Evidence(statistics.median(values), HERE if here else ELSEWHERE, "", amount, spread)
    amount = "one cell" if len(values) == 1 else f"the largest of {len(values)} cells"
    return Evidence(max(values), EXTRAPOLATED, _named([found for _, _, found in near]), amount, spread)


def _bracketing(steps: int, near: Sequence[Known]) -> list[Known]:
    """Rows, those of other numbers of steps cut to the nearest lower and the nearest higher one."""
    others = {found["steps"][0] for _, _, found in near if "steps" in found}
    ends = {max((n for n in others if n < steps), default=None), min((n for n in others if n > steps), default=None)}
    return [item for item in near if "steps" not in item[2] or item[2]["steps"][0] in ends]


def _rank(row: Row, found: Differences) -> tuple[int, int]:
    """How near a row is to the task, nearest first: its case, a trained network, a random one."""
    if "case" not in found:
        return SAME_CASE, len(found)
    if row.get("weights") and str(row["weights"]).startswith("random"):
        return RANDOM_NETWORK, len(found)
    return (TRAINED_NETWORK if row.get("weights") or row.get("case") in TRAINED else OTHER_LAW), len(found)


def _named(found: Sequence[Differences]) -> str:
    """What rows differ in, with their values and the one asked for: "digits, steps 10, 20 (asked 50)"."""
    parts = []
    for name in dict.fromkeys(name for differing in found for name in differing):
        pairs = [differing[name] for differing in found if name in differing]
        theirs = ", ".join(dict.fromkeys(_text(value) for value, _ in sorted(pairs, key=_sortable)))
        parts.append(theirs if name == "case" else f"{name} {theirs} (asked {_text(pairs[0][1])})")
    return ", ".join(parts)


def _sortable(pair: tuple[Any, Any]) -> tuple[bool, Any]:
    value = pair[0]
    return (True, value) if isinstance(value, int | float) and not isinstance(value, bool) else (False, str(value))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def _case_defaults(name: str) -> Mapping[str, Any]:
    return _defaults(tuple(folders())).get(name, {})


@cache
def _defaults(places: tuple[Path, ...]) -> dict[str, Mapping[str, Any]]:
    """The default parameters of every case; `places` are the folders now searched for cases."""
    return {name: dict(spec.params) for name, spec in case_specs().items()}


def _is_exact(row: Row) -> bool:
    name = str(row.get("estimator"))
    return name in ESTIMATORS and ESTIMATORS[name].traits.exact


def _whole(row: Row, kind: str, catalogue: Catalogue[Any]) -> tuple[str, dict[str, Any]]:
    name = str(row.get(kind))
    return name, whole_params(row, kind, catalogue[name].defaults if name in catalogue else {})


def _in_order(targets: Iterable[str]) -> tuple[str, ...]:
    given = set(targets)
    return tuple(name for name in TARGETS if name in given)


def _largest(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return max(v for v in found if v is not None) if found and all(is_finite(v) for v in found) else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
