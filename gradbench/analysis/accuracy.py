"""The sentence on accuracy: who comes closest to one reference, for which target, how often, and by how much."""

from collections.abc import Iterable

from gradbench.analysis import units
from gradbench.analysis.cells import TARGETS
from gradbench.analysis.prose import capital, listed, names, plural, quoted, targets
from gradbench.analysis.standings import Standing, Verdict

GRADIENT = {
    "sampler": "the gradient of the sampler that was run",
    "expected": "the expected gradient",
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


def accuracy(found: list[Verdict]) -> str:
    """A clause for the targets that share their most accurate estimators, and one for those that rows do not decide."""
    open_ = [v for v in found if not v.accurate]
    clauses = [*map(_named, groups(found)), *([_undecided(open_)] if open_ else [])]
    return f"{capital('; '.join(clauses))}."


def _named(group: list[Verdict]) -> str:
    named = [s.estimator for s in group[0].accurate]
    mine = [s for v in group for s in v.accurate]
    goal = f"{GRADIENT[group[0].reference]} for {targets(v.target for v in group)}"
    if all(s.exact for s in mine):
        claim = f"{names(named)} {'give' if len(named) > 1 else 'gives'} {goal}, exactly up to rounding"
    else:
        claim = f"{names(named)} {'come' if len(named) > 1 else 'comes'} closest to {goal}, {_off(mine)}"
    return f"{claim}, {_where(group, mine)}{_next(group, set(named))}"


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


def _next(group: list[Verdict], named: set[str]) -> str:
    """The best of the others and by how much it is off."""
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


def _undecided(found: list[Verdict]) -> str:
    firsts = [(v.target, next((s for s in v.rivals if s.near), None)) for v in found]
    parts = [
        f"{quoted(s.estimator)} for {target} ({s.near:,} of {s.asked:,} settings)"
        for target, s in firsts
        if s is not None
    ]
    goal = f"the rows do not decide who comes closest to {GRADIENT[found[0].reference]}"
    if len(found) < len(TARGETS):
        goal += f" for {targets(v.target for v in found)}"
    return f"{goal}: most often, at equal steps, it is {listed(parts)}" if parts else goal
