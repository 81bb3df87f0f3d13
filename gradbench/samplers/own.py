"""Samplers from outside gradbench: catalogue entries for a rule, or for a class or function that makes one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.chart import CHARTS
from gradbench.diffusion.schedule import make_schedule
from gradbench.diffusion.sde_chart import SDE_CHARTS, make_chart
from gradbench.entry import Entry
from gradbench.samplers.base import Interval, ReversibleRule, Rule
from gradbench.samplers.entry import SamplerEntry, check_grid
from gradbench.samplers.runge_kutta import RungeKutta
from gradbench.samplers.stochastic import Diffused, StochasticRule
from gradbench.samplers.traits import SamplerTraits
from gradbench.selector import Options

OURS = ("chart", "grid")  # options of every sampler, not passed to its rule


@dataclass(frozen=True)
class OwnSampler(SamplerEntry):
    """An entry for a rule, or for a class or function that is called to make one."""

    def load(self) -> Any:
        made = partial(rule_of, self.name, super().load())
        return made if set(self.defaults) - set(OURS) else made()


def sampler(entry: Entry, found: Any) -> Entry:
    """The catalogue entry for the code found: a rule, a class or function that makes one, or an `Entry`.

    For a rule, `chart` is an option (noise by default, noise-sde on the reverse SDE) unless the `traits` name one.
    Order, stages and whether it is stochastic, reversible or keeps a history are read off the rule. Raises `ValueError`
    if the code makes no rule, or for an `Entry` that does not state its chart and whether it is stochastic.
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
    """`found` if it is a rule, else the rule that it makes of the options; `ValueError` if it makes none."""
    try:
        rule = found if isinstance(found, Rule) else found(**options)
    except TypeError as error:
        raise UsageError(f"sampler {name!r} cannot be made of its options alone: {error}") from None
    except ValueError as error:  # an option value that the user's class rejects
        raise UsageError(str(error)) from None
    if not isinstance(rule, Rule):
        raise UsageError(f"sampler {name!r} makes {type(rule).__name__}, which is not a gradbench.Rule")
    return rule


def traits_of(rule: Rule, chart: str) -> SamplerTraits:
    """The traits of a rule; it is assumed to converge to the reverse SDE only on an SDE chart."""
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
    """Whether the state after a trial step is more than one point; True if the trial step fails."""
    schedule, x = make_schedule("scaled-linear"), torch.zeros(1, 1, dtype=torch.float64)
    try:
        field: Callable[[float, Any], Any] = lambda t, point: torch.zeros_like(point)  # noqa: E731
        interval = Interval(make_chart(chart, schedule), 0.6, 0.5, None, torch.zeros_like(x))
        return len(rule.step(field, rule.start(field, x), interval)) > 1
    except Exception:  # user code may raise anything
        return True


def _check_chart(rule: Rule, options: Options) -> None:
    """An ODE rule draws no noise and so cannot use an SDE chart; `Diffused` requires one."""
    if "chart" in options:
        stochastic = (*CHARTS, *SDE_CHARTS) if isinstance(rule, StochasticRule) else CHARTS
        checks.one_of("chart", options["chart"], SDE_CHARTS if isinstance(rule, Diffused) else stochastic)


def _both(check: Callable[[Options], None]) -> Callable[[Options], None]:
    """The grid's check, then the given one."""

    def both(options: Options) -> None:
        check_grid(options["grid"])
        check(options)

    return both
