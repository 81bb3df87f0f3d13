"""What an estimator is told of a problem before it is given one; no torch."""

from dataclasses import dataclass, field

from gradbench.diffusion.grid import TimeRange
from gradbench.samplers.traits import SamplerTraits


@dataclass(frozen=True, kw_only=True, eq=False)
class ProblemTraits(SamplerTraits, TimeRange):
    """The facts of a sampler and of its time range, with those of the problem.

    steps: N. targets: the names of those asked for. dtype: the name of the network's floating type.
    """

    steps: int = 1
    targets: list[str] = field(default_factory=list[str])
    dtype: str = "float64"
