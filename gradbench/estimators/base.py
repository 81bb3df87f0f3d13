"""The contract of an estimator of the gradient through a sampler."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from gradbench.problems.gradients import Gradients, tensors_of
from gradbench.problems.problem import Problem


@dataclass
class GradientEstimate:
    """What an estimator found, and what it paid.

    grads: gradients of L by target, in the order x_T (b, *x), condition, parameters (a tuple); a target is absent
    where it was not asked for or cannot be reached. x_0 (b, *x): the sample of this estimator's own forward pass.
    objective: L there. nfe_forward, nfe_backward: network evaluations of each pass, recomputation included, a guided
    doubled batch counted once. vjps: evaluations that a cotangent was pulled back through.

    Of estimators that draw: the counts are those of one draw, and of a random truncation their means over its law,
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

    traits: what it promises, which `gradbench check` holds it to; what is left out is measured and reported. exact:
    whether it is the gradient of the sampler that is run, to rounding. order: with which its gradient tends to the
    flow's in 1/N. biased: whether the mean of an estimator that draws is another than the expected gradient. memory:
    how live bytes grow in N at most, `constant`, `log`, `sqrt` or `linear`.
    """

    traits: ClassVar[Mapping[str, Any]] = {}

    def supports(self, traits: Mapping[str, Any]) -> str | None:
        """None, or the reason why this estimator cannot serve a problem of these traits.

        traits: those of the sampler's catalogue line with `chart`, `steps`, `targets` and `dtype` of the problem; see
        `Problem.traits`.
        """
        return None

    @abstractmethod
    def __call__(self, problem: Problem) -> GradientEstimate:
        """The estimate."""
