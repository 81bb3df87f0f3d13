"""What an estimator promises; no torch."""

from dataclasses import dataclass

from gradbench.traits import Traits


@dataclass(frozen=True, kw_only=True, eq=False)
class EstimatorTraits(Traits):
    """What an estimator promises; `gradbench check` tests the first four.

    exact: its gradient is that of the chosen sampler, up to rounding. order: the power of 1/N at which its gradient
    converges to that of the flow. biased: its mean over draws does not tend to the expected gradient. memory: an upper
    bound on the growth of live bytes with N: `constant`, `log`, `sqrt` or `linear`. draws: it averages over draws.
    stochastic: it is not a differentiable sample, so `gradbench.sample` cannot use it. coordinates: it runs separate
    chains for every coordinate. memoryless: what it estimates is the memoryless gradient, whatever the sampler.
    """

    exact: bool = False
    order: int | None = None
    biased: bool = False
    memory: str | None = None
    draws: bool = False
    stochastic: bool = False
    coordinates: bool = False
    memoryless: bool = False
