"""Sentences on accuracy, and on memory and time: who comes closest, how often, by how much, and at what price."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gradbench.analysis import words
from gradbench.analysis.cells import Group
from gradbench.analysis.noise import WORK
from gradbench.analysis.standings import USEFUL, Contest, Setting, Standing, cheapest, price
from gradbench.problems.spec import TARGETS

GRADIENT = {
    "sampler": "the gradient of the sampler that was run",
    "expected": f"the expected gradient (by {WORK:,} network evaluations)",
    "flow": "the gradient of the exact flow",
}
"""In order of demand: one differentiates what one runs."""
ALIKE = 1.05
"""Costs within this factor are called equal."""


def groups(found: Iterable[Contest]) -> list[list[Contest]]:
    """Contests grouped by the estimators they name; those that name none are left out."""
    gathered: dict[frozenset[str], list[Contest]] = {}
    for c in found:
        if c.accurate:
            gathered.setdefault(frozenset(s.estimator for s in c.accurate), []).append(c)
    return list(gathered.values())


def accuracy(found: list[Contest], brief: bool = False) -> str:
    """A clause for targets with the same most accurate estimators, and one for those the rows do not decide.

    brief: without the best of the others.
    """
    named = [_named(group) + ("" if brief else _next(group)) for group in groups(found)]
    rest = [c for c in found if not c.accurate]
    undecided, far = [c for c in rest if _first(c)], [c for c in rest if not _first(c)]
    clauses = [*named, *([_undecided(undecided)] if undecided else []), *([_far(far)] if far else [])]
    return f"{words.capital('; '.join(clauses))}."


def _named(group: list[Contest]) -> str:
    named = [s.estimator for s in group[0].accurate]
    mine = [s for c in group for s in c.accurate]
    goal = f"{GRADIENT[group[0].reference]} for {words.targets(c.target for c in group)}"
    if all(s.exact for s in mine):
        claim = f"{words.names(named)} {'give' if len(named) > 1 else 'gives'} {goal}, exactly up to rounding"
    else:
        claim = f"{words.names(named)} {'come' if len(named) > 1 else 'comes'} closest to {goal}, {_off(mine)}"
    return f"{claim}, {_where(group, mine)}"


def _where(group: list[Contest], mine: list[Standing]) -> str:
    """ "in all 92 settings on 12 cases", or in how many of those where they were run."""
    most = max(group, key=lambda c: len(c.settings))
    cases = words.plural(len({cell.case for setting in most.settings for cell in setting.values()}), "case")
    count = len(most.settings)
    if any(s.near < s.asked for s in mine):
        ended = " (in the others it did not finish)" if all(s.near + s.failed == s.asked for s in mine) else ""
        return f"in at least {min(100 * s.near // s.asked for s in mine)} % of {count:,} settings on {cases}{ended}"
    if count == 1:
        return "in the one setting that was compared"
    if all(s.asked == count for s in mine):
        return f"in all {count:,} settings on {cases}"
    return f"in every setting in which each was run ({count:,} on {cases})"


def _next(group: list[Contest]) -> str:
    """The best of the others and by how much it is off."""
    named = {s.estimator for s in group[0].accurate}
    others: dict[str, list[Standing]] = {}
    for s in (s for c in group for s in c.rivals if s.estimator not in named):
        others.setdefault(s.estimator, []).append(s)
    whole = {name: found for name, found in others.items() if len(found) == len(group)}
    if not whole:
        return ""
    best = min(whole, key=lambda name: max(s.error for s in whole[name]))
    return f"; the best of the others, {words.quoted(best)}, is {_off(whole[best])}"


def _off(standings: list[Standing]) -> str:
    """ "off by 1 % to 3 % in the median"."""
    low, high = (words.share(end(s.error for s in standings)) for end in (min, max))
    return f"off by {low if low == high else f'{low} to {high}'} in the median"


def _first(contest: Contest) -> Standing | None:
    """Who is most often as accurate as any; None if all are as far off as zero is."""
    return next((s for s in contest.rivals if s.near and s.error < USEFUL), None)


def _undecided(found: list[Contest]) -> str:
    firsts: dict[str, list[tuple[str, Standing]]] = {}
    for c in found:
        if s := _first(c):
            firsts.setdefault(s.estimator, []).append((c.target, s))
    parts = [
        f"{words.quoted(name)} for {words.targets(target for target, _ in mine)} ({_often([s for _, s in mine])})"
        for name, mine in firsts.items()
    ]
    goal = f"the rows do not decide which comes closest to {_goal(found)}"
    return f"{goal}: most often, at equal steps, it is {words.listed(parts)}"


def _often(mine: list[Standing]) -> str:
    """ "10 of 16 settings", or the smallest and the largest share of several."""
    least, most = min(mine, key=lambda s: s.near / s.asked), max(mine, key=lambda s: s.near / s.asked)
    low, high = (f"{s.near:,} of {s.asked:,}" for s in (least, most))
    return f"{low if low == high else f'{low} to {high}'} settings"


def _far(found: list[Contest]) -> str:
    least = min(s.error for c in found for s in c.standings)
    return f"no estimator comes near {_goal(found)}: in the median all are off by {words.share(least)} or more"


def _goal(found: list[Contest]) -> str:
    """The gradient, and its targets unless they are all."""
    some = f" for {words.targets(c.target for c in found)}" if len(found) < len(TARGETS) else ""
    return GRADIENT[found[0].reference] + some


@dataclass(frozen=True)
class Expense:
    """The words for a cost."""

    column: str
    when: str
    most: str
    more: str
    alike: str
    unit: Callable[[float | None], str]


MEMORY = Expense(
    "peak_bytes",
    "memory is short",
    "leanest",
    "needs {} times its memory",
    "need about as much memory",
    words.mebibytes,
)
TIME = Expense("time_s", "time counts", "fastest", "takes {} times as long", "take about as long", words.seconds)


def expense(found: list[Contest], kind: Expense) -> str:
    """The cheapest accurate one beside the accurate one best in the other cost; if alone, the cheapest of all."""
    told = [(words.targets(c.target for c in group), _clause(group[0], kind)) for group in groups(found)]
    if not told:
        return f"No estimator is accurate often enough to weigh its {'memory' if kind is MEMORY else 'time'}."
    if len({said for _, said in told}) == 1:
        return f"{words.capital(told[0][1])}."
    return f"{words.capital('; '.join(f'for {goal}, {said}' for goal, said in told))}."


def _clause(contest: Contest, kind: Expense) -> str:
    mine, within = [s.estimator for s in contest.accurate], contest.settings
    order = [name for name, _ in cheapest(within, mine, kind.column)]
    if len(order) > 1:
        other = [name for name, _ in cheapest(within, mine, (TIME if kind is MEMORY else MEMORY).column)]
        dear = next((name for name in other if name != order[0]), order[1])
        lead = f"use {words.quoted(order[0])} where {kind.when}"
        if kind is TIME and other[:1] == order[:1]:
            lead = f"{words.quoted(order[0])} is also the {kind.most} of these"
        return _beside(within, order[0], dear, kind, lead)
    order = [name for name, _ in cheapest(within, [s.estimator for s in contest.rivals], kind.column)]
    if mine[0] not in order:
        return f"the rows do not compare what {words.quoted(mine[0])} costs"
    if order[0] == mine[0]:
        return _beside(within, order[0], order[1], kind, f"{words.quoted(mine[0])} is also the {kind.most}")
    return _beside(within, order[0], mine[0], kind, f"{words.quoted(order[0])}, less accurate, is the {kind.most}")


def _beside(found: Sequence[Setting], cheap: str, dear: str, kind: Expense, lead: str) -> str:
    """The lead and "`b` needs 5.1 times its memory (...), 106 MiB instead of 5.5 MiB on `CASE` at 20 steps"."""
    pairs: list[tuple[float, float, Group]] = []
    for setting in found:
        low, high = (price(setting[name], kind.column) if name in setting else None for name in (cheap, dear))
        if low is not None and high is not None:
            pairs.append((high, low, setting[dear]))
    if not pairs:
        return f"{lead}, in no setting beside {words.quoted(dear)}"
    ratios = [high / low for high, low, _ in pairs]
    typical, (high, low, cell) = statistics.geometric_mean(ratios), max(pairs, key=lambda pair: pair[0])
    where = f"on {words.quoted(cell.case)}" + ("" if cell.steps is None else f" at {cell.steps} steps")
    if 1 / ALIKE < typical < ALIKE:
        costs = f"{kind.unit(low)} and {kind.unit(high)}"
        return f"{words.quoted(cheap)} and {words.quoted(dear)} {kind.alike}, {costs} {where}"
    over = f" (geometric mean over {len(pairs):,} settings; at most {max(ratios):.2g} times)" if len(pairs) > 1 else ""
    more = f"{words.quoted(dear)} {kind.more.format(f'{typical:.2g}')}{over}"
    return f"{lead}: {more}, {kind.unit(high)} instead of {kind.unit(low)} {where}"
