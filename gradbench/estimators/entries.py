"""What a line of the estimators' catalogue says; no torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradbench import checks
from gradbench.diffusion.detached import DETACHED
from gradbench.entry import Entry, load
from gradbench.estimators.monte_carlo.options import check_draws, declare_draws
from gradbench.estimators.traits import EstimatorTraits
from gradbench.problems.traits import ProblemTraits
from gradbench.selector import Options

if TYPE_CHECKING:
    from gradbench.estimators.pathwise.plan import PlanDistribution


@dataclass(frozen=True)
class EstimatorEntry(Entry):
    """A catalogue entry of an estimator; traits may be a mapping. refuses: why it cannot serve a problem, or None.

    later: options that published rows do not have, with the values that these rows had: stored only if they differ.
    confidence: how sure the method's formula is: read in the paper, in the authors' `code`, in a `reimplementation` by
    others, or in the paper's `abstract` only.
    """

    traits: EstimatorTraits = field(default_factory=EstimatorTraits)
    later: Options = field(default_factory=dict[str, Any])
    confidence: str = "paper"
    refuses: Callable[[Options, ProblemTraits], str | None] = lambda options, traits: None

    def __post_init__(self) -> None:
        object.__setattr__(self, "traits", EstimatorTraits.of(self.name, self.traits))

    def stored(self, given: Options) -> Options:
        """The options as a cell stores them."""
        return {key: value for key, value in self.options(given).items() if self.later.get(key, self) != value}

    def declared(self, given: Options) -> EstimatorTraits:
        """The estimator's traits with these options."""
        return self.traits.amended(self.declares(self.options(given)))


@dataclass(frozen=True, kw_only=True)
class TruncatedEntry(EstimatorEntry):
    """The line of a `Truncated` estimator. distribution: all options -> its plans."""

    distribution: "Callable[[Options], PlanDistribution]"

    def load(self) -> Any:
        """Makes the estimator from all options; imports its module."""
        made = super().load()
        return lambda **options: made(self.distribution(options), options["draws"])


def truncated(
    name: str,
    summary: str,
    plans: str,
    citation: str,
    confidence: str = "paper",
    memory: str | None = None,
    **defaults: Any,
) -> TruncatedEntry:
    """An entry whose plans come from the callable `plans`, "module:callable", given all options except `draws`."""

    def distribution(options: Options) -> "PlanDistribution":
        make = load(name, f"gradbench.estimators.pathwise.{plans}")
        checks.one_of("detach", options["detach"], DETACHED)
        return make(**{key: value for key, value in options.items() if key != "draws"})

    def check(options: Options) -> None:
        check_draws(options)
        distribution(options)

    detach = defaults.pop("detach", None)
    return TruncatedEntry(
        name,
        summary,
        "gradbench.estimators.pathwise.truncated:Truncated",
        citation,
        distribution=distribution,
        defaults={"detach": detach or "eps", **defaults, "draws": None},
        later={} if detach else {"detach": "eps"},
        traits=EstimatorTraits(draws=True, biased=True, memory=memory),
        check=check,
        refuses=lambda options, traits: distribution(options).refuses(traits),
        declares=declare_draws if "law" in defaults else lambda options: {},
        confidence=confidence,
    )
