"""Which estimators are as accurate as any: how often, over how many settings and cases, at what price.

A setting is one case with one sampler at one number of steps (and one dtype, device, machine class and set of targets):
in it, estimators share one task. Settings count by case, so that no case decides a ranking alone.
"""

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gradbench.analysis.cells import Group
from gradbench.analysis.costs import evaluations
from gradbench.analysis.errors import read, resolution
from gradbench.analysis.noise import WORK, noise
from gradbench.bench.columns import FINE
from gradbench.problems.spec import REFERENCES, TARGETS

NEAR = 1.1
"""As accurate as any: an error within this factor of the smallest of its setting, or below the resolution."""
DECIDED = 0.9
"""An estimator is named only if it is as accurate as any in this share of its settings ..."""
COVERED = 0.5
"""... was run in this share of all settings ..."""
USEFUL = 0.9
"""... and is nearer than that in the median: zero is off by 1."""

Setting = dict[str, Group]
"""The cells of one setting by the label of their estimator."""


@dataclass(frozen=True)
class Standing:
    """One estimator against one reference for one target.

    near: settings in which it is as accurate as any, out of `asked` where it was run, over `cases`; in `failed` it did
    not end, or not with finite numbers. share: mean over cases of near/asked. error: median of its errors, inf if most
    failed. exact: whether none of those that ended is distinguishable from zero.
    """

    estimator: str
    near: int
    asked: int
    failed: int
    cases: int
    share: float
    error: float
    exact: bool


@dataclass(frozen=True)
class Contest:
    """All standings against one reference for one target, the most accurate first; `accurate` are those to name."""

    reference: str
    target: str
    settings: tuple[Setting, ...]
    standings: tuple[Standing, ...]

    @property
    def rivals(self) -> tuple[Standing, ...]:
        """Those that were run often enough to be named."""
        return tuple(s for s in self.standings if s.asked >= COVERED * len(self.settings))

    @property
    def accurate(self) -> tuple[Standing, ...]:
        """Those that the rows name; none if they do not decide."""
        return tuple(s for s in self.rivals if s.share >= DECIDED and s.error < USEFUL)


def settings(cells: Iterable[Group]) -> list[Setting]:
    """The cells by setting, in the order in which they first appear."""
    found: dict[tuple[Any, ...], Setting] = {}
    for c in cells:
        found.setdefault((c.place, c.steps), {})[c.estimator] = c
    return list(found.values())


def contests(found: list[Setting]) -> list[Contest]:
    """One contest per (reference, target) with which at least two estimators were compared in a setting."""
    held = (_contest(found, *question) for question in itertools.product(REFERENCES, TARGETS))
    return [contest for contest in held if contest]


def error_of(cell: Group, reference: str, target: str) -> float | None:
    """The error by which a cell is compared; inf if it failed, None if there is none.

    For a Monte Carlo estimator it is that of its mean over `WORK` network evaluations: with e the error after all draws
    and s the spread of one draw, sqrt(e^2 - s^2/draws + s^2 nfe/WORK).
    """
    reading = read(cell, reference, target)
    if reading is None:
        return math.inf if cell.status not in FINE and not cell.measured else None
    spread = noise(cell, target, reference)
    if spread is None or not math.isfinite(reading.error):
        return reading.error
    draws, nfe = cell.median("draws") or 1.0, evaluations(cell) or 0.0
    return math.sqrt(max(0.0, reading.error**2 - spread**2 / draws) + spread**2 * nfe / WORK)


def price(cell: Group, column: str) -> float | None:
    """Median time or memory; for a Monte Carlo estimator the time of `WORK` evaluations, like its error."""
    value = cell.median(column) if cell.measured else None
    if value is None or not math.isfinite(value) or value <= 0:
        return None
    work = evaluations(cell) if column == "time_s" and cell.median("draws") else None
    return value * WORK / work if work else value


def cheapest(found: Iterable[Setting], estimators: Iterable[str], column: str) -> list[tuple[str, float]]:
    """Estimators by their cost over the least among them, a geometric mean over settings: [(name, 1.3), ...].

    Only settings in which at least two of them were measured count; without any, none is compared.
    """
    names, over = list(estimators), defaultdict(list)
    for setting in found:
        costs = {name: paid for name in names if name in setting and (paid := price(setting[name], column)) is not None}
        if len(costs) > 1:
            for name, paid in costs.items():
                over[name].append(paid / min(costs.values()))
    return sorted(
        ((name, statistics.geometric_mean(ratios)) for name, ratios in over.items()), key=lambda pair: pair[1]
    )


def _contest(found: list[Setting], reference: str, target: str) -> Contest | None:
    near, error, exact = defaultdict(lambda: defaultdict(list)), defaultdict(list), defaultdict(list)
    counted = []
    for setting in found:
        errors = {name: e for name, cell in setting.items() if (e := error_of(cell, reference, target)) is not None}
        if len(errors) < 2 or min(errors.values()) == math.inf or _told_already(setting, reference, target):
            continue
        counted.append(setting)
        for name, own in errors.items():
            least = resolution(setting[name], reference)
            near[name][setting[name].case].append(own <= max(NEAR * min(errors.values()), least))
            error[name].append(own)
            exact[name].append(own <= least or own == math.inf)
    standings = [
        Standing(
            name,
            sum(map(sum, cases.values())),
            sum(map(len, cases.values())),
            error[name].count(math.inf),
            len(cases),
            statistics.fmean(statistics.fmean(case) for case in cases.values()),
            statistics.median(error[name]),
            all(exact[name]),
        )
        for name, cases in near.items()
    ]
    order = sorted(standings, key=lambda s: (-s.share, -s.asked, s.error))
    return Contest(reference, target, tuple(counted), tuple(order)) if counted else None


def _told_already(setting: Setting, reference: str, target: str) -> bool:
    """Whether the expected gradient is the sampler's here, as that draws no noise."""
    known = [cell for cell in setting.values() if read(cell, "expected", target)]
    return reference == "expected" and all(read(cell, "sampler", target) for cell in known)
