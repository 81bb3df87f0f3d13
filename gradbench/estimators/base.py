"""The contract of an estimator of the gradient through a sampler."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from gradbench.checks import UsageError
from gradbench.estimators.refusals import no_step_target
from gradbench.problems.gradients import Gradients, tensors_of
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits


@dataclass
class GradientEstimate:
    """An estimated gradient and its cost.

    grads: gradients of L by target, in the order x_T (b, *x), condition, parameters (a tuple); a target is absent if it
    was not requested or cannot be reached. x_0 (b, *x): the sample of this estimator's own forward pass. objective: L
    at x_0. nfe_forward, nfe_backward: network evaluations in each pass, including recomputation; the doubled batch of
    guidance counts once. vjps: the number of evaluations through which a cotangent was pulled back.

    For Monte Carlo estimators the counts are per draw; for a random truncation they are means over its plans and may be
    fractional. draws: the number of draws. std_error: the standard error of each component of the gradients.
    batch_means: means over equal consecutive batches of draws, from which every statistic is computed. x_0 is the
    sample of the first draw, objective the mean over all draws.
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
    """Why an estimate is malformed, or None: a target not requested, shapes other than the leaves', or a wrong type."""
    for target, gradient in estimate.grads.items():
        if target not in problem.targets:
            return f"the estimator returned a gradient of {target!r}, asked for {', '.join(problem.targets)}"
        shapes, expected = ([tuple(t.shape) for t in tensors] for tensors in (tensors_of(gradient), problem.of(target)))
        if shapes != expected:
            return f"the gradient of {target} has shapes {shapes}, not {expected}"
        if isinstance(gradient, tuple) != (target == "parameters"):
            return f"the gradient of {target} is a {type(gradient).__name__}; only that of parameters is a tuple"
    return None


class GradientEstimator(ABC):
    """Maps a problem to a `GradientEstimate`, without changing the problem.

    traits: what the estimator promises, named as in `EstimatorTraits`. `gradbench check` tests exact, order, biased and
    memory if they are declared; otherwise they are measured and reported. per_step: whether it serves the targets of
    single steps: `noises`, `controls[velocity]`, `controls[state]`, `controls[eps]` and `x_t[k]`.
    """

    traits: ClassVar[Mapping[str, Any]] = {}
    per_step: ClassVar[bool] = False

    def supports(self, traits: Mapping[str, Any]) -> str | None:
        """None, or the reason why this estimator cannot serve a problem with these traits.

        traits: `ProblemTraits`, read as attributes or by name; a mapping with some of the names is enough. A custom
        estimator overrides this method or `refuses`; the latter is always given `ProblemTraits`.
        """
        known = ProblemTraits.of("a problem", traits)
        return self.refuses(known) or (None if self.per_step else no_step_target(known))

    def refuses(self, traits: ProblemTraits) -> str | None:
        """The reason why this estimator cannot serve a problem with these traits, or None."""
        return None

    def ensure_supported(self, problem: Problem) -> None:
        """`ValueError` with the reason if this estimator cannot serve the problem."""
        reason = self.supports(problem.traits)
        if reason:
            raise UsageError(f"this estimator does not support the problem: {reason}")

    def queries(self, problem: Problem) -> float:
        """The samples that each draw shows to the objective; a value and its gradient at one sample are one query.

        A value that is only reported, as that at `x_0` may be, is not counted.
        """
        return 1.0

    @abstractmethod
    def __call__(self, problem: Problem) -> GradientEstimate:
        """The estimated gradients of L with respect to the problem's targets."""
