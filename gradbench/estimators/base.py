"""The contract of an estimator of the gradient through a sampler."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from gradbench.checks import UsageError
from gradbench.problems.gradients import Gradients, tensors_of
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits


@dataclass
class GradientEstimate:
    """What an estimator found, and what it paid.

    grads: gradients of L by target, in the order x_T (b, *x), condition, parameters (a tuple); a target is absent
    where it was not asked for or cannot be reached. x_0 (b, *x): the sample of this estimator's own forward pass.
    objective: L there. nfe_forward, nfe_backward: network evaluations of each pass, recomputation included, a guided
    doubled batch counted once. vjps: evaluations that a cotangent was pulled back through.

    Of estimators that draw: the counts are those of one draw, and of a random truncation their means over its plans,
    which may be fractional; draws is their number, std_error the standard error of
    each component of the gradients, batch_means the means over equal consecutive parts of the draws, from which every
    statistic is made; x_0 is the sample of the first draw and objective the mean.
    """

    grads: Gradients
    x_0: Tensor
    objective: float
    nfe_forward: float
    nfe_backward: float
    vjps: float
    draws: int | None = None
    std_error: Gradients | None = None
    batch_means: list[Gradients] | None = None

    def __post_init__(self) -> None:
        self.grads = Gradients(self.grads)


def malformed(problem: Problem, estimate: GradientEstimate) -> str | None:
    """What is wrong with the form of an answer, or None: targets not asked for, shapes other than the leaves'."""
    for target, gradient in estimate.grads.items():
        if target not in problem.targets:
            return f"the estimator returned a gradient of {target!r}, asked for {', '.join(problem.targets)}"
        shapes, expected = ([tuple(t.shape) for t in tensors] for tensors in (tensors_of(gradient), problem.of(target)))
        if shapes != expected:
            return f"the gradient of {target} has shapes {shapes}, not {expected}"
        if isinstance(gradient, tuple) != (target == "parameters"):
            return f"the gradient of {target} is a {type(gradient).__name__}; of parameters alone it is a tuple"
    return None


class GradientEstimator(ABC):
    """Called with a problem, returns a `GradientEstimate`; never changes the problem.

    traits: what it promises, in the words of `EstimatorTraits`: exact, order, biased and memory, which `gradbench
    check` holds it to; what is left out is measured and reported.
    """

    traits: ClassVar[Mapping[str, Any]] = {}

    def supports(self, traits: Mapping[str, Any]) -> str | None:
        """None, or the reason why this estimator cannot serve a problem with these traits.

        traits: `ProblemTraits`, read as attributes or by name; a mapping of some of its names will do. An estimator of
        your own overrides this method or `refuses`, which is always given `ProblemTraits`.
        """
        return self.refuses(ProblemTraits.of("a problem", traits))

    def refuses(self, traits: ProblemTraits) -> str | None:
        """The reason why this estimator cannot serve a problem with these traits, or None."""
        return None

    def ensure_supported(self, problem: Problem) -> None:
        """`ValueError` with the reason where this estimator cannot serve a problem."""
        reason = self.supports(problem.traits)
        if reason:
            raise UsageError(f"this estimator cannot serve the problem: {reason}")

    @abstractmethod
    def __call__(self, problem: Problem) -> GradientEstimate:
        """The estimate."""
