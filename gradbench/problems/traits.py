"""What a plan and an estimator know of a problem before it is built; no torch."""

from dataclasses import dataclass, field

from gradbench.diffusion.grid import TimeRange
from gradbench.samplers.traits import SamplerTraits


@dataclass(frozen=True, kw_only=True, eq=False)
class ProblemTraits(SamplerTraits, TimeRange):
    """Facts about a problem: those of its sampler, those of its time range, and

    steps: N. targets: the names of the targets asked for. dtype: the name of the network's floating type.
    """

    steps: int = 1
    targets: list[str] = field(default_factory=list[str])
    dtype: str = "float64"
