"""Samplers that are not gradbench's: a rule, or what makes one, as a line of the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.chart import CHARTS
from gradbench.diffusion.grid import GRIDS
from gradbench.diffusion.schedule import make_schedule
from gradbench.diffusion.sde_chart import SDE_CHARTS, make_chart
from gradbench.entry import Entry
from gradbench.samplers.base import Interval, ReversibleRule, Rule
from gradbench.samplers.catalogue import SamplerEntry
from gradbench.samplers.runge_kutta import RungeKutta
from gradbench.samplers.stochastic import Diffused, StochasticRule
from gradbench.samplers.traits import SamplerTraits
from gradbench.selector import Options

OURS = ("chart", "grid")  # options of every sampler, which its rule is not called with


@dataclass(frozen=True)
class OwnSampler(SamplerEntry):
    """An entry of a class or function, which is called to have the rule, or of a rule itself."""

    def load(self) -> Any:
        made = partial(rule_of, self.name, super().load())
        return made if set(self.defaults) - set(OURS) else made()


def sampler(entry: Entry, found: Any) -> Entry:
    """The line of a sampler whose code was found: a rule, a class or function that makes one, or an `Entry`.

    Of a rule, `chart` is an option (noise by default, noise-sde for a rule on the reverse SDE) unless its `traits` name
    one; order, stages and whether it is stochastic, reversible or keeps a history are asked of the rule. Raises
    `ValueError` for what makes no rule, and for an `Entry` that names no chart.
    """
    said = SamplerTraits.of(entry.name, entry.traits).said
    if isinstance(found, Entry):
        lacks = [n for n in ("chart", "stochastic") if n not in said and n not in entry.defaults]
        if lacks:
            raise UsageError(f"sampler {entry.name!r} must name {' and '.join(lacks)} in its traits, or as an option")
        return replace(entry, defaults={**entry.defaults, "grid": entry.defaults.get("grid")}, check=_both(entry.check))
    rule = rule_of(entry.name, found, **entry.defaults)
    chart = {} if "chart" in said else {"chart": "noise-sde" if isinstance(rule, Diffused) else "noise"}
    own = {name: value for name, value in entry.defaults.items() if name not in OURS}

    def traits(options: Options) -> SamplerTraits:
        given = {name: value for name, value in options.items() if name in own}
        return traits_of(rule_of(entry.name, found, **given), said.get("chart") or options["chart"]).amended(said)

    defaults = {**own, **chart, "grid": None}
    return OwnSampler(
        entry.name,
        entry.summary,
        entry.factory,
        entry.citation,
        defaults,
        traits(defaults),
        check=_both(lambda options: _check_chart(rule, options)),
        declares=traits,
    )


def rule_of(name: str, found: Any, **options: Any) -> Rule:
    """The rule itself, or what the class or function makes; `ValueError` where that is none."""
    try:
        rule = found if isinstance(found, Rule) else found(**options)
    except TypeError as error:
        raise UsageError(f"sampler {name!r} cannot be made of its options alone: {error}") from None
    except ValueError as error:  # an option's value that the class does not take
        raise UsageError(str(error)) from None
    if not isinstance(rule, Rule):
        raise UsageError(f"sampler {name!r} makes {type(rule).__name__}, which is no gradbench.Rule")
    return rule


def traits_of(rule: Rule, chart: str) -> SamplerTraits:
    """What estimators are told of a rule; only one on an SDE chart is taken to converge to the reverse SDE."""
    many = _keeps_history(rule, chart)
    return SamplerTraits(
        stochastic=isinstance(rule, StochasticRule),
        order=getattr(rule, "order", None),
        stages=getattr(rule, "stages", None),
        reversible=isinstance(rule, ReversibleRule),
        runge_kutta=isinstance(rule, RungeKutta),
        multistep=many,
        history=many,
        reverse_sde=chart in SDE_CHARTS,
    )


def _keeps_history(rule: Rule, chart: str) -> bool:
    """Whether a step leaves more than a point, seen on one step; a rule that cannot take it is taken to do so."""
    schedule, x = make_schedule("scaled-linear"), torch.zeros(1, 1, dtype=torch.float64)
    try:
        field: Callable[[float, Any], Any] = lambda t, point: torch.zeros_like(point)  # noqa: E731
        interval = Interval(make_chart(chart, schedule), 0.6, 0.5, None, torch.zeros_like(x))
        return len(rule.step(field, rule.start(field, x), interval)) > 1
    except Exception:  # of the user's code
        return True


def _check_chart(rule: Rule, options: Options) -> None:
    """A rule of the ODE has no noise for the chart of an SDE, and `Diffused` needs one."""
    if "chart" in options:
        stochastic = (*CHARTS, *SDE_CHARTS) if isinstance(rule, StochasticRule) else CHARTS
        checks.one_of("chart", options["chart"], SDE_CHARTS if isinstance(rule, Diffused) else stochastic)


def _both(check: Callable[[Options], None]) -> Callable[[Options], None]:
    """That check, and the grid's."""

    def both(options: Options) -> None:
        if options["grid"] is not None:
            checks.one_of("grid", options["grid"], GRIDS)
        check(options)

    return both
