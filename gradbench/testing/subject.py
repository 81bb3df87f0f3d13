"""The estimator under test, what it declares, and the problems that it is tested on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.estimators.traits import EstimatorTraits
from gradbench.problems.case import make_case
from gradbench.references import Problem
from gradbench.selector import parse, render
from gradbench.testing.verdict import Skipped, demand

LAWS = ("gaussian", "mixture", "product-mixture")
SAMPLERS = ("ddim", "ddim[eta=1]", "dpm++2m", "belm", "rk4", "sde-dpm++1", "rex[chart=log-snr-sde]", "euler-maruyama")
STEPS = (6, 50)  # the second for estimators that need many
TRAITS = ("exact", "order", "biased", "memory")
MEMORY = ("constant", "log", "sqrt", "linear")  # the growth of live bytes with N that may be declared


def problem_of(sampler: str = "ddim", case: str = "gaussian", steps: int = 6, draws: int = 8, **given: Any) -> Problem:
    """A small problem: 3 dimensions, a batch of 2. given: parameters of the case and options of `Case.problem`."""
    options = {key: given.pop(key) for key in ("seed", "targets", "dtype") if key in given}
    problem = make_case(case, {"dim": 3, "batch": 2, **given}).problem(sampler=sampler, steps=steps, **options)
    problem.draws = draws
    return problem


def place(problem: Problem) -> str:
    """Where a number was found, for messages: the sampler with its non-default options, and the number of steps."""
    spec = problem.sampler
    own = {key: value for key, value in spec.params.items() if key != "grid" and value != spec.entry.defaults[key]}
    return f"{render(spec.name, own)}, {problem.steps} steps"


@dataclass(frozen=True)
class Subject:
    """An estimator, its name, and what it declares of the traits that are checked, `TRAITS`."""

    name: str
    estimator: GradientEstimator
    traits: EstimatorTraits

    def estimate(self, problem: Problem) -> GradientEstimate:
        """Its estimate; raises `Failed` if that is no `GradientEstimate`."""
        found = self.estimator(problem)
        demand(isinstance(found, GradientEstimate), f"it returned {type(found).__name__}, not a GradientEstimate")
        return found

    def refuses(self, problem: Problem) -> str | None:
        """Its reason for refusing a problem, or None."""
        return self.estimator.supports(problem.traits)

    def served(self, samplers: Sequence[str] = SAMPLERS, **options: Any) -> Iterator[Problem]:
        """A problem under each sampler that it does not refuse; `Skipped` if it refuses them all."""
        reason, some = None, False
        tried = (options.pop("steps"),) if "steps" in options else STEPS
        for sampler in samplers:
            for steps in tried:
                problem = problem_of(sampler, steps=steps, **options)
                refusal = self.refuses(problem)
                if refusal is None:
                    some = True
                    yield problem
                    break
                reason = refusal
        if not some:
            raise Skipped(f"it refuses every sampler that is tried: {reason}")

    def one_of_each(self, **options: Any) -> list[Problem]:
        """One problem without noise and one with noise, or only the kind that it serves."""
        found: dict[bool, Problem] = {}
        for problem in self.served(**options):
            found.setdefault(problem.sampler.traits.stochastic, problem)
            if len(found) == 2:
                break
        return list(found.values())


def subject_of(given: Any) -> Subject:
    """The subject for a selector, "module:Class", a class or an estimator.

    Raises `ValueError` if it cannot be loaded or made, is not an estimator, or declares an unknown trait.
    """
    if isinstance(given, str):
        name, options = parse(given)
        entry = ESTIMATORS.find(name)
        values, factory, declared = entry.options(options), entry.load(), entry.declared(options)
    else:
        name = (given if isinstance(given, type) else type(given)).__name__
        values, factory, declared = {}, given if isinstance(given, type) else lambda: given, EstimatorTraits()
    try:
        estimator = factory(**values)
    except TypeError as error:
        raise UsageError(
            f"{name!r} cannot be made without arguments ({error}): check an instance, or name a function that makes one"
        ) from None
    if not isinstance(estimator, GradientEstimator):
        raise UsageError(f"{name!r} makes {type(estimator).__name__}, which is not a gradbench.GradientEstimator")
    return Subject(given if isinstance(given, str) else name, estimator, traits_of(name, estimator, declared))


def traits_of(name: str, estimator: GradientEstimator, declared: EstimatorTraits) -> EstimatorTraits:
    """The checked traits that its class and catalogue entry declare; `ValueError` for an unknown trait or value."""
    traits = EstimatorTraits.of(name, estimator.traits).amended(declared.said)
    for trait in ("exact", "biased"):
        checks.one_of(trait, traits[trait], (False, True))
    if traits.order is not None:
        checks.positive_integer("order", traits.order)
    checks.one_of("memory", traits.memory, (None, *MEMORY))
    return EstimatorTraits(**{key: value for key, value in traits.said.items() if key in TRAITS and value is not None})
