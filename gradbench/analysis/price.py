"""The sentences on memory and time: what the accurate estimators cost, one beside the other."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradbench.analysis import units
from gradbench.analysis.accuracy import groups
from gradbench.analysis.cells import Cell
from gradbench.analysis.prose import capital, quoted, targets
from gradbench.analysis.standings import Setting, Verdict, cheapest, cost

ALIKE = 1.05
"""Costs within this factor are told as equal."""


@dataclass(frozen=True)
class Kind:
    """How a cost is spoken of."""

    column: str
    when: str
    most: str
    more: str
    alike: str
    unit: Callable[[float | None], str]


MEMORY = Kind(
    "peak_bytes",
    "memory is short",
    "leanest",
    "needs {} times its memory",
    "need about as much memory",
    units.mebibytes,
)
TIME = Kind("time_s", "time counts", "fastest", "takes {} times as long", "take about as long", units.seconds)


def price(found: list[Verdict], kind: Kind) -> str:
    """The cheapest of the accurate beside the best of them in the other cost; alone, beside the cheapest of all."""
    told = [(targets(v.target for v in group), _clause(group[0], kind)) for group in groups(found)]
    if not told:
        return f"No estimator is accurate often enough to weigh its {'memory' if kind is MEMORY else 'time'}."
    if len({words for _, words in told}) == 1:
        return f"{capital(told[0][1])}."
    return f"{capital('; '.join(f'for {goal}, {words}' for goal, words in told))}."


def _clause(verdict: Verdict, kind: Kind) -> str:
    mine, within = [s.estimator for s in verdict.accurate], verdict.settings
    order = [name for name, _ in cheapest(within, mine, kind.column)]
    if len(order) > 1:
        other = [name for name, _ in cheapest(within, mine, (TIME if kind is MEMORY else MEMORY).column)]
        dear = next((name for name in other if name != order[0]), order[1])
        lead = f"use {quoted(order[0])} where {kind.when}"
        if kind is TIME and other[:1] == order[:1]:
            lead = f"{quoted(order[0])} is also the {kind.most} of these"
        return _beside(within, order[0], dear, kind, lead)
    order = [name for name, _ in cheapest(within, [s.estimator for s in verdict.rivals], kind.column)]
    if mine[0] not in order:
        return f"the rows do not compare what {quoted(mine[0])} costs"
    if order[0] == mine[0]:
        return _beside(within, order[0], order[1], kind, f"{quoted(mine[0])} is also the {kind.most}")
    return _beside(within, order[0], mine[0], kind, f"{quoted(order[0])}, less accurate, is the {kind.most}")


def _beside(found: Sequence[Setting], cheap: str, dear: str, kind: Kind, lead: str) -> str:
    """The lead and "`b` needs 5.1 times its memory (...), 106 MiB instead of 5.5 MiB on `CASE` at 20 steps"."""
    pairs: list[tuple[float, float, Cell]] = []
    for setting in found:
        low, high = (cost(setting[name], kind.column) if name in setting else None for name in (cheap, dear))
        if low is not None and high is not None:
            pairs.append((high, low, setting[dear]))
    if not pairs:
        return f"{lead}, in no setting beside {quoted(dear)}"
    ratios = [high / low for high, low, _ in pairs]
    typical, (high, low, cell) = statistics.geometric_mean(ratios), max(pairs, key=lambda pair: pair[0])
    where = f"on {quoted(cell.case)}" + ("" if cell.steps is None else f" at {cell.steps} steps")
    if 1 / ALIKE < typical < ALIKE:
        costs = f"{kind.unit(low)} and {kind.unit(high)}"
        return f"{quoted(cheap)} and {quoted(dear)} {kind.alike}, {costs} {where}"
    over = f" (geometric mean over {len(pairs):,} settings; at most {max(ratios):.2g} times)" if len(pairs) > 1 else ""
    more = f"{quoted(dear)} {kind.more.format(f'{typical:.2g}')}{over}"
    return f"{lead}: {more}, {kind.unit(high)} instead of {kind.unit(low)} {where}"
