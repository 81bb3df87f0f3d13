"""What a catalogue knows of a sampler, and the checks that several share; no torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradbench import checks
from gradbench.diffusion.chart import CHARTS
from gradbench.diffusion.grid import GRIDS, TimeRange
from gradbench.entry import Entry
from gradbench.samplers.multistep import SOLVERS
from gradbench.samplers.traits import SamplerTraits
from gradbench.selector import Options

Refuses = Callable[[Options, TimeRange], str | None]  # (options, range) -> the reason, or None


def nowhere(options: Options, where: TimeRange) -> str | None:
    """Refuses nothing."""


@dataclass(frozen=True)
class SamplerEntry(Entry):
    """A catalogue entry of a sampler; its traits may be a mapping."""

    traits: SamplerTraits = field(default_factory=SamplerTraits)
    refuses: Refuses = nowhere

    def __post_init__(self) -> None:
        object.__setattr__(self, "traits", SamplerTraits.of(self.name, self.traits))

    def declared(self, given: Options) -> SamplerTraits:
        """The traits under these options."""
        return self.traits.amended(self.declares(self.options(given)))


def check_grid(grid: Any) -> None:
    """None, for the case's own, or the name of a grid."""
    if grid is not None:
        checks.one_of("grid", grid, GRIDS)


def check(options: Options) -> None:
    """The options that several samplers have."""
    if "chart" in options:
        checks.one_of("chart", options["chart"], CHARTS)
    checks.in_range("eta", options.get("eta", 0.0), 0.0, 1.0)
    checks.in_range("gamma", options.get("gamma", 0.0), 0.0, 10.0)
    checks.in_range("a", options.get("a", 1.0), 1e-6, 10.0)
    checks.in_range("scaling", options.get("scaling", 10.0), 0.0, 1e6)
    checks.one_of("variance", options.get("variance", "small"), ("small", "large"))
    checks.one_of("solver", options.get("solver", "midpoint"), SOLVERS)
    checks.one_of("first", options.get("first", "released"), ("released", "next"))
    check_grid(options["grid"])
