"""What an estimator promises; no torch."""

from dataclasses import dataclass

from gradbench.traits import Traits


@dataclass(frozen=True, kw_only=True, eq=False)
class EstimatorTraits(Traits):
    """The promises of an estimator, to the first four of which `gradbench check` holds it.

    exact: its gradient is that of the sampler that is run, to rounding. order: the power of 1/N with which its gradient
    tends to the flow's. biased: the mean of its draws is another than the expected gradient. memory: how live bytes
    grow in N at most, `constant`, `log`, `sqrt` or `linear`. draws: it is an average over draws. stochastic: it is no
    differentiable sample, and so not for `gradbench.sample`. coordinates: it runs chains for every number that it
    differentiates by.
    """

    exact: bool = False
    order: int | None = None
    biased: bool = False
    memory: str | None = None
    draws: bool = False
    stochastic: bool = False
    coordinates: bool = False
