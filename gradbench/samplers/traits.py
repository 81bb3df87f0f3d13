"""What is known of a sampler before it is built; no torch."""

from dataclasses import dataclass

from gradbench.traits import Traits


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplerTraits(Traits):
    """The facts of a sampler by which estimators, and the plan, know whether they can serve it.

    stochastic: whether its steps draw noise. order: the power of 1/N with which its error falls. stages: evaluations a
    step. chart: that in which it steps; None on a line whose option says it. chart_at_zero: that in which it steps from
    alpha = 0, where that is another one. runge_kutta: whether it is a one-step rule of the ODE. history: whether a step
    reads what steps before it left. multistep: whether a draw's state so is more than one point. reversible: whether a
    step has an inverse. reverse_sde: whether a chain that draws noise converges to the reverse SDE. grid: the name of
    its grid; None on a line. pair: whether x_T and the sample are pairs of points, (b, 2, *x).
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
