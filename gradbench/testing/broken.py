"""Estimators that are wrong, each in one way: one check must fail each, and if possible no other does.

gradbench check gradbench.testing.broken:WrongSign
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.estimators.catalogue import make_estimator
from gradbench.estimators.pathwise.pathwise import Pathwise
from gradbench.estimators.pathwise.pullback import ContinuousAdjoint, Pullback, Transpose
from gradbench.estimators.pathwise.recovery import Recovery, Stored
from gradbench.estimators.pathwise.trajectory import Trajectory
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.samplers.runge_kutta import EULER
from gradbench.testing.faults import Fault


class WrongSign(Fault):
    """The gradient of the condition has the wrong sign."""

    traits = {"exact": True}

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return _with(estimate, "condition", lambda g: -g)


class _Scaled(Transpose):
    def sweep(
        self, trajectory: Trajectory, x_T: Tensor, x_0: Tensor, cotangent: Tensor, wrt: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor | None]]:
        return super().sweep(trajectory, x_T, x_0, (1 + 1e-3) * cotangent, wrt)


@dataclass(frozen=True)
class ScaledPullback(Pathwise):
    """Its pullback is too large by a factor of 1 + 1e-3."""

    recovery: Recovery = Stored()
    pullback: Pullback = _Scaled()
    traits = {"exact": True, "memory": "linear"}


@dataclass(frozen=True)
class LostOrder(Pathwise):
    """Its order is one, but it declares two."""

    recovery: Recovery = Stored()
    pullback: Pullback = ContinuousAdjoint("noise", EULER)
    traits = {"order": 2, "memory": "linear"}


class Biased(GradientEstimator):
    """Its mean over draws is a tenth too large, but it declares no bias."""

    def __call__(self, problem: Problem) -> GradientEstimate:
        estimate = make_estimator("draft", k=problem.steps)(problem)
        for target in estimate.grads:
            estimate = _with(estimate, target, lambda g: 1.1 * g)
        return estimate


class WrongShape(Fault):
    """The gradient of x_T is flattened."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return _with(estimate, "x_T", torch.flatten)


class OtherObjective(Fault):
    """The objective is the mean over the batch, not the sum."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return replace(estimate, objective=estimate.objective / len(problem.x_T))


class Undetermined(Fault):
    """Its last digits come from the operating system's random numbers."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        noise = 1e-13 * (1 + os.urandom(1)[0])
        return _with(estimate, "condition", lambda g: g * (1 + noise))


class GlobalRandom(Fault):
    """Draws from torch's global generator."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return _with(estimate, "condition", lambda g: g * (1 + 1e-13 * torch.rand((), dtype=torch.float64)))


class IgnoredSeed(GradientEstimator):
    """Uses the same draws whatever the seed."""

    def __call__(self, problem: Problem) -> GradientEstimate:
        return make_estimator("draft", k=problem.steps)(replace(problem, seed=0, noise="keyed"))


class MovedCondition(Fault):
    """Adds a thousandth to the condition, and leaves it changed."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        if problem.condition is not None:
            with torch.no_grad():
                problem.condition.add_(1e-3)
        return estimate


class LeftGrad(Fault):
    """Leaves a gradient in the condition's .grad, as `backward()` does and `autograd.grad` does not."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        if problem.condition is not None:
            problem.condition.grad = torch.zeros_like(problem.condition)
        return estimate


class SwallowedTarget(Fault):
    """Omits the gradient of the condition if that of the parameters is also requested."""

    traits = {"exact": True}

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        if "parameters" not in problem.targets:
            return estimate
        return replace(estimate, grads={t: g for t, g in estimate.grads.items() if t != "condition"})


class FirstOfBatch(Fault):
    """Doubles the gradient of the first sample only."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return _with(estimate, "x_T", lambda g: torch.cat([2 * g[:1], g[1:]]))


class Single(Fault):
    """Computes in float64 and answers in float32."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        for target in estimate.grads:
            estimate = _with(estimate, target, lambda g: g.float())
        return estimate


class HalfInside(Fault):
    """Rounds the gradient of x_T to half precision if the problem is in single precision."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        rough = problem.x_T.dtype == torch.float32
        return _with(estimate, "x_T", lambda g: g.half().float() if rough else g)


class AllTapes(Fault):
    """Keeps the whole chain on one tape, but declares constant memory."""

    traits = {"exact": True, "memory": "constant"}


class Miscount(Fault):
    """Reports one network evaluation fewer than it made."""

    def after(self, problem: Problem, estimate: GradientEstimate) -> GradientEstimate:
        return replace(estimate, nfe_forward=estimate.nfe_forward - 1)


class NoReason(Fault):
    """Refuses multistep samplers and the data chart with an empty reason."""

    def supports(self, traits: Mapping[str, Any]) -> str | None:
        return "" if traits.get("multistep") or traits["chart"] == "data" else None

    def before(self, problem: Problem) -> None:
        if self.supports(problem.traits) is not None:
            raise UsageError("no reason")


class AnswersAnyway(Fault):
    """Refuses the data chart, but returns an estimate there when called."""

    def supports(self, traits: Mapping[str, Any]) -> str | None:
        return "not in the data chart" if traits["chart"] == "data" else None


class FailsServed(Fault):
    """Raises under one sampler that it does not refuse."""

    def before(self, problem: Problem) -> None:
        if problem.sampler.name == "edict":
            raise RuntimeError("no such rule")


def _with(estimate: GradientEstimate, target: str, change: Any) -> GradientEstimate:
    """The estimate with `change` applied to every tensor of one target's gradient and standard errors."""
    found = {}
    for name in ("grads", "std_error"):
        grads = getattr(estimate, name)
        if grads and target in grads:
            found[name] = {**grads, **Gradients({target: grads[target]}).map(change)}
    return replace(estimate, **found)
