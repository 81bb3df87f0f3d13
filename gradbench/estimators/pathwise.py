"""Pathwise estimators: a recovery and a pullback, joined by one autograd function."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradbench.estimators import support
from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.estimators.problem import Problem
from gradbench.estimators.pullback import ContinuousAdjoint, Pullback, Transpose
from gradbench.estimators.recovery import Recovery, Resolved, Stored
from gradbench.samplers.base import Rule
from gradbench.samplers.multistep import AB2, TWO_M
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.runge_kutta import EULER, HEUN, MIDPOINT, RK4


class Differentiable(GradientEstimator):
    """An estimator that is a differentiable sample: `sample` puts x_0 on the tape, and the rest is `autograd.grad`."""

    @abstractmethod
    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        """x_0 (b, *x), whose backward pass is this estimator, with respect to x_T (b, *x) and the tensors `wrt`."""

    def __call__(self, problem: Problem) -> GradientEstimate:
        reason = self.supports(problem.traits)
        if reason:
            raise ValueError(f"this estimator cannot serve the problem: {reason}")
        denoiser = problem.denoiser
        calls, pulled, forward = denoiser.calls, denoiser.pulled, 0

        def sample(x_T: Tensor) -> Tensor:
            nonlocal forward
            x_0 = self.sample(problem.rollout, x_T, problem.wrt)
            forward = denoiser.calls - calls
            return x_0

        grads, x_0, value = problem.differentiate(sample)
        backward = denoiser.calls - calls - forward
        return GradientEstimate(grads, x_0, value, forward, backward, vjps=denoiser.pulled - pulled)


@dataclass(frozen=True)
class Backprop(Differentiable):
    """The whole chain on one tape: the gradient of the sampler that is run, at the memory of N network tapes."""

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        return rollout.sample(x_T)


@dataclass(frozen=True)
class Pathwise(Differentiable):
    """A recovery and a pullback.

    Limits: no second derivatives; `wrt` must name every leaf whose gradient is wanted.
    """

    recovery: Recovery
    pullback: Pullback

    def supports(self, traits: Mapping[str, Any]) -> str | None:
        if isinstance(self.pullback, ContinuousAdjoint):
            trajectory = next(name for name, recovery in RECOVERIES.items() if recovery == self.recovery)
            options = {"chart": self.pullback.chart, "trajectory": trajectory, "steps": self.pullback.steps}
            return support.refuse_adjoint(options, traits)
        return None

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        return _Chain.apply(rollout, self.recovery, self.pullback, x_T, *wrt)  # type: ignore[return-value]


def refuse_second_order() -> None:
    """RuntimeError in a backward pass that is itself being recorded (create_graph=True), as a second derivative needs.

    torch's own once_differentiable lets `autograd.grad` pass silently by, with the chain's part of the answer missing.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("this gradient has no second derivative: use gradient='backprop' where create_graph=True")


class FirstOrder(torch.autograd.Function):
    """The identity, whose backward pass refuses to be recorded."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Tensor:  # type: ignore[override]
        refuse_second_order()
        return cotangent


class _Chain(torch.autograd.Function):
    """The chain as one node of the tape. Forward: the recovery runs it. Backward: the pullback sweeps over it."""

    @staticmethod
    def forward(
        ctx: Any, rollout: Rollout, recovery: Recovery, pullback: Pullback, x_T: Tensor, *wrt: Tensor
    ) -> Tensor:
        trajectory = recovery.run(rollout, rollout.start(x_T))
        ctx.rollout, ctx.pullback, ctx.trajectory = rollout, pullback, trajectory
        ctx.save_for_backward(x_T, *wrt)  # saved so that a change in place before the backward pass is an error
        return rollout.finish(trajectory.last).clone()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        refuse_second_order()
        x_T, *saved = ctx.saved_tensors
        needed = ctx.needs_input_grad[4:]
        wrt = [leaf for leaf, need in zip(saved, needed, strict=True) if need]
        grad_x_T, totals = ctx.pullback.sweep(ctx.rollout, ctx.trajectory, x_T, cotangent, wrt)
        found = iter(totals)
        return None, None, None, grad_x_T, *(next(found) if need else None for need in needed)


RECOVERIES: dict[str, Recovery] = {"stored": Stored(), "resolved": Resolved()}
RULES: dict[str, Rule] = {"euler": EULER, "midpoint": MIDPOINT, "heun": HEUN, "rk4": RK4, "ab2": AB2, "2m": TWO_M}


def checkpoint() -> Pathwise:
    """Stored states and the exact transpose: one tape at a time, N more evaluations.

    References: Griewank and Walther, 2000, Algorithm 799 (revolve), section 2; Chen et al., 2016, arXiv:1604.06174.
    """
    return Pathwise(Stored(), Transpose())


def continuous_adjoint(chart: str, rule: str, trajectory: str, steps: int | None) -> Pathwise:
    """The continuous adjoint by any rule in any chart, on stored or on re-solved states, M <= N backward steps."""
    return Pathwise(RECOVERIES[trajectory], ContinuousAdjoint(chart, RULES[rule], steps))


def adjoint_dpm(chart: str, rule: str, trajectory: str, steps: int | None) -> Pathwise:
    """The continuous adjoint in the noise (or data) chart: dy/drho = eps, y = x/alpha, rho = sigma/alpha.

    References: Pan et al., 2024, AdjointDPM, arXiv:2307.10711, equations 9 to 12. `trajectory=resolved` is what the
    paper describes, `trajectory=stored` what its released code does.
    """
    return continuous_adjoint(chart, rule, trajectory, steps)


def adjoint_deis(order: int, trajectory: str, steps: int | None) -> Pathwise:
    """AdjointDEIS of order 1: a <- (alpha_t/alpha_s) a + (sigma_s/alpha_s^2)(e^h - 1) alpha_t^2 (d eps/dx)^T a.

    It is Euler's rule on the adjoint equation of the noise chart, evaluated at the clean end t of each interval [t, s],
    h = lambda_s - lambda_t. References: Blasingame and Liu, 2024, AdjointDEIS, arXiv:2405.15020, equations 2.9 to 2.12.
    """
    return continuous_adjoint("noise", "euler", trajectory, steps)
