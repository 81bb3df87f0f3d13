"""The sentence on accuracy: who comes closest to one reference, for which target, how often, and by how much."""

from collections.abc import Iterable

from gradbench.analysis import units
from gradbench.analysis.cells import TARGETS
from gradbench.analysis.prose import capital, listed, names, plural, quoted, targets
from gradbench.analysis.standings import USEFUL, Standing, Verdict
from gradbench.analysis.variance import WORK

GRADIENT = {
    "sampler": "the gradient of the sampler that was run",
    "expected": f"the expected gradient (by {WORK:,} network evaluations)",
    "flow": "the gradient of the exact flow",
}
"""In the order in which they are asked for: one differentiates what one runs."""


def groups(found: Iterable[Verdict]) -> list[list[Verdict]]:
    """Verdicts that name the same estimators, together; those that name none are left out."""
    gathered: dict[frozenset[str], list[Verdict]] = {}
    for v in found:
        if v.accurate:
            gathered.setdefault(frozenset(s.estimator for s in v.accurate), []).append(v)
    return list(gathered.values())


def accuracy(found: list[Verdict], brief: bool = False) -> str:
    """A clause for the targets that share their most accurate estimators, and one for those that rows do not decide.

    brief: without the best of the others.
    """
    named = [_named(group) + ("" if brief else _next(group)) for group in groups(found)]
    rest = [v for v in found if not v.accurate]
    undecided, far = [v for v in rest if _first(v)], [v for v in rest if not _first(v)]
    clauses = [*named, *([_undecided(undecided)] if undecided else []), *([_far(far)] if far else [])]
    return f"{capital('; '.join(clauses))}."


def _named(group: list[Verdict]) -> str:
    named = [s.estimator for s in group[0].accurate]
    mine = [s for v in group for s in v.accurate]
    goal = f"{GRADIENT[group[0].reference]} for {targets(v.target for v in group)}"
    if all(s.exact for s in mine):
        claim = f"{names(named)} {'give' if len(named) > 1 else 'gives'} {goal}, exactly up to rounding"
    else:
        claim = f"{names(named)} {'come' if len(named) > 1 else 'comes'} closest to {goal}, {_off(mine)}"
    return f"{claim}, {_where(group, mine)}"


def _where(group: list[Verdict], mine: list[Standing]) -> str:
    """ "in all 92 settings on 12 cases", or in how many of those in which they were run."""
    most = max(group, key=lambda v: len(v.settings))
    cases = plural(len({cell.case for setting in most.settings for cell in setting.values()}), "case")
    count = len(most.settings)
    if any(s.near < s.asked for s in mine):
        ended = " (in the others it did not end)" if all(s.near + s.failed == s.asked for s in mine) else ""
        return f"in at least {min(100 * s.near // s.asked for s in mine)} % of {count:,} settings on {cases}{ended}"
    if count == 1:
        return "in the one setting that was compared"
    if all(s.asked == count for s in mine):
        return f"in all {count:,} settings on {cases}"
    return f"in every setting in which each was run ({count:,} on {cases})"


def _next(group: list[Verdict]) -> str:
    """The best of the others and by how much it is off."""
    named = {s.estimator for s in group[0].accurate}
    others: dict[str, list[Standing]] = {}
    for s in (s for v in group for s in v.rivals if s.estimator not in named):
        others.setdefault(s.estimator, []).append(s)
    whole = {name: found for name, found in others.items() if len(found) == len(group)}
    if not whole:
        return ""
    best = min(whole, key=lambda name: max(s.error for s in whole[name]))
    return f"; the best of the others, {quoted(best)}, is {_off(whole[best])}"


def _off(standings: list[Standing]) -> str:
    """ "off by 1 % to 3 % in the median"."""
    low, high = (units.share(end(s.error for s in standings)) for end in (min, max))
    return f"off by {low if low == high else f'{low} to {high}'} in the median"


def _first(verdict: Verdict) -> Standing | None:
    """Who is as accurate as any most often; None where all are as far off as zero is."""
    return next((s for s in verdict.rivals if s.near and s.error < USEFUL), None)


def _undecided(found: list[Verdict]) -> str:
    firsts: dict[str, list[tuple[str, Standing]]] = {}
    for v in found:
        if s := _first(v):
            firsts.setdefault(s.estimator, []).append((v.target, s))
    parts = [
        f"{quoted(name)} for {targets(target for target, _ in mine)} ({_often([s for _, s in mine])})"
        for name, mine in firsts.items()
    ]
    goal = f"the rows do not decide who comes closest to {_goal(found)}"
    return f"{goal}: most often, at equal steps, it is {listed(parts)}"


def _often(mine: list[Standing]) -> str:
    """ "10 of 16 settings", or the smallest and the largest share of several."""
    least, most = min(mine, key=lambda s: s.near / s.asked), max(mine, key=lambda s: s.near / s.asked)
    low, high = (f"{s.near:,} of {s.asked:,}" for s in (least, most))
    return f"{low if low == high else f'{low} to {high}'} settings"


def _far(found: list[Verdict]) -> str:
    least = min(s.error for v in found for s in v.standings)
    return f"no estimator comes near {_goal(found)}: in the median all are off by {units.share(least)} or more"


def _goal(found: list[Verdict]) -> str:
    """The gradient, and its targets where they are not all."""
    some = f" for {targets(v.target for v in found)}" if len(found) < len(TARGETS) else ""
    return GRADIENT[found[0].reference] + some
