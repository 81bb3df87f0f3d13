"""What a plan and an estimator know of a sampler before it is built; no torch."""

from dataclasses import dataclass

from gradbench.traits import Traits


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplerTraits(Traits):
    """Facts about a sampler.

    stochastic: whether its steps draw noise. order: the power of 1/N at which its error decays. stages: evaluations per
    step. chart: the chart in which it steps; None in a catalogue entry where an option sets it. chart_at_zero: the
    chart for ranges that start at alpha = 0, if different. runge_kutta: whether it is a one-step rule for the ODE.
    history: whether a step uses previous steps. multistep: whether the state of a stochastic chain is more than one
    point. reversible: whether its steps have an inverse. reverse_sde: whether, if stochastic, it converges to the
    reverse SDE. grid: the name of its grid; None in a catalogue entry. pair: whether x_T and the sample are pairs of
    points, (b, 2, *x).
    """

    stochastic: bool = False
    order: int | None = None
    stages: int | None = None
    chart: str | None = None
    chart_at_zero: str | None = None
    runge_kutta: bool = False
    history: bool = False
    multistep: bool = False
    reversible: bool = False
    reverse_sde: bool = True
    grid: str | None = None
    pair: bool = False
