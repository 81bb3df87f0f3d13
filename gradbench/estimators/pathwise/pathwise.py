"""Pathwise estimators: a recovery and a pullback, joined by one autograd function."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.estimators.leaves import Demanded, Leaves, Reach
from gradbench.estimators.pathwise.adjoints import ADAPTIVE
from gradbench.estimators.pathwise.binomial import Binomial
from gradbench.estimators.pathwise.pullback import ContinuousAdjoint, Pullback, StateByEuler, Transpose
from gradbench.estimators.pathwise.recoveries import recovery_of
from gradbench.estimators.pathwise.recovery import Inverted, Recovery, Stored
from gradbench.estimators.settings import Settings
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.adaptive import Adaptive
from gradbench.samplers.base import Rule
from gradbench.samplers.multistep import TWO_M
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.rules import RULES
from gradbench.samplers.runge_kutta import DOPRI5, EULER


class Differentiable(GradientEstimator):
    """An estimator that is a differentiable sample: `sample` puts x_0 on the tape, and the rest is `autograd.grad`.

    keeps_tape: whether that tape is the chain's own, on which features that a hook captures are too.
    """

    keeps_tape: ClassVar[bool] = False

    @abstractmethod
    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        """x_0 (b, *x), whose backward pass is this estimator, with respect to x_T (b, *x) and the tensors `wrt`.

        `Leaves.of(wrt)` are the distinct ones; whether one that is never reached is an error is theirs to say.
        """

    def reaches_x_T(self, steps: int) -> bool:
        """Whether the gradient of x_T is one that this estimator ever has, through a chain of that many steps."""
        return True

    def __call__(self, problem: Problem) -> GradientEstimate:
        self.ensure_supported(problem)
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

    keeps_tape = True

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        x_0, leaves = rollout.sample(x_T), Leaves.of(wrt)
        return Demanded.apply(x_0, [x_0], leaves) if leaves.demanded and leaves else x_0  # type: ignore


@dataclass(frozen=True)
class Pathwise(Differentiable):
    """A recovery and a pullback.

    Limits: no second derivatives; `wrt` must name every leaf whose gradient is wanted.
    """

    recovery: Recovery
    pullback: Pullback

    def refuses(self, traits: ProblemTraits) -> str | None:
        return self.recovery.refuses(traits) or self.pullback.refuses(traits, self.recovery)

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        leaves = Leaves.of(wrt)
        return _Chain.apply(rollout, self.recovery, self.pullback, leaves, x_T, *leaves)  # type: ignore[return-value]


def refuse_second_order() -> None:
    """RuntimeError in a backward pass that is itself being recorded (create_graph=True), as a second derivative needs.

    torch's own once_differentiable lets `autograd.grad` pass silently by, with the chain's part of the answer missing.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("this gradient has no second derivative: use gradient='backprop' where create_graph=True")


class FirstOrder(torch.autograd.Function):
    """The identity on a sample whose backward pass is another library's: what that does not look after itself.

    Its backward pass refuses to be recorded, and to begin under other settings; leaves that it did not reach are an
    error at its end.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, settings: Settings, reach: Reach) -> Tensor:
        ctx.settings, ctx.reach = settings, reach
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        refuse_second_order()
        ctx.settings.refuse_changes()
        torch.autograd.Variable._execution_engine.queue_callback(ctx.reach.check)  # type: ignore[attr-defined]
        return cotangent, None, None


class _Chain(torch.autograd.Function):
    """The chain as one node of the tape. Forward: the recovery runs it. Backward: the pullback sweeps over it."""

    @staticmethod
    def forward(
        ctx: Any, rollout: Rollout, recovery: Recovery, pullback: Pullback, leaves: Leaves, x_T: Tensor, *wrt: Tensor
    ) -> Tensor:
        trajectory = recovery.run(rollout, rollout.start(x_T))
        with trajectory.ambient.record(rollout.steps):
            x_0 = rollout.finish(trajectory.last)
        trajectory.ambient.settle()
        ctx.pullback, ctx.trajectory, ctx.leaves, ctx.x_0 = pullback, trajectory, leaves, x_0
        ctx.save_for_backward(x_T, *wrt)  # saved so that a change in place before the backward pass is an error
        return x_0.clone()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        refuse_second_order()
        x_T, *saved = ctx.saved_tensors
        needed = ctx.needs_input_grad[5:]
        wrt = [leaf for leaf, need in zip(saved, needed, strict=True) if need]
        grad_x_T, totals = ctx.pullback.sweep(ctx.trajectory, x_T, ctx.x_0, cotangent, wrt)
        ctx.leaves.refuse_unreached([leaf for leaf, total in zip(wrt, totals, strict=True) if total is None])
        found = iter(totals)
        return None, None, None, None, grad_x_T, *(next(found) if need else None for need in needed)


def checkpoint(offload: str | None = None) -> Pathwise:
    """Stored states and the exact transpose: one tape at a time, N more evaluations.

    offload: `cpu` keeps the states in the host's memory. Of a Runge-Kutta rule it is what the symplectic adjoint
    method computes, a partitioned Runge-Kutta method on the adjoint equation (Matsubara, Miyatake and Yaguchi, 2021,
    arXiv:2102.09750). References: Griewank and Walther, 2000, Algorithm 799 (revolve), section 2; Chen et al., 2016,
    arXiv:1604.06174.
    """
    return Pathwise(Stored(offload), Transpose())


def revolve(snapshots: int) -> Pathwise:
    """Binomial checkpointing: `snapshots` states, the start among them, at the least number of steps taken again.

    References: Griewank and Walther, 2000, Algorithm 799 (revolve), ACM TOMS 26.
    """
    return Pathwise(Binomial(snapshots), Transpose())


def reversible() -> Pathwise:
    """Each state from the next by the inverse of the sampler's step, then the exact transpose: no state is kept.

    References: McCallum and Foster, 2024, arXiv:2410.11648; Kidger et al., 2021, arXiv:2105.13493.
    """
    return Pathwise(Inverted(), Transpose())


def rule_of(name: str, rtol: float, atol: float) -> Rule:
    """The rule that the option `rule` names; the tolerances are of the adaptive one."""
    return Adaptive(DOPRI5, rtol, atol) if name == ADAPTIVE else RULES[name]


def continuous_adjoint(
    chart: str, rule: str, trajectory: str, steps: int | None, snapshots: int, rtol: float, atol: float
) -> Pathwise:
    """The continuous adjoint by any rule in any chart, on any recovery of the states, in `steps` backward steps."""
    return Pathwise(recovery_of(trajectory, snapshots), ContinuousAdjoint(chart, rule_of(rule, rtol, atol), steps))


def adjoint_dpm(chart: str, rule: str, trajectory: str, steps: int | None, rtol: float, atol: float) -> Pathwise:
    """The continuous adjoint in the noise (or data) chart: dy/drho = eps, y = x/alpha, rho = sigma/alpha.

    References: Pan et al., 2024, AdjointDPM, arXiv:2307.10711, equations 9 to 12. `trajectory=resolved` is what the
    paper describes, `trajectory=stored` what its released code does.
    """
    return Pathwise(recovery_of(trajectory), ContinuousAdjoint(chart, rule_of(rule, rtol, atol), steps))


def adjoint_deis(order: int, trajectory: str, steps: int | None) -> Pathwise:
    """AdjointDEIS: with V = alpha_t^2 (d eps/dx)^T a, h = lambda_s - lambda_t, rho = (lambda_t - lambda_r)/h,

        a <- (alpha_t/alpha_s) a + (sigma_s/alpha_s^2)(e^h - 1) D,   D = V (order 1),
        D = (1 + 1/(2 rho)) V - V_before/(2 rho) (order 2).

    Order 1 is Euler's rule on the adjoint equation of the noise chart, evaluated at the clean end t of each interval
    [t, s]; order 2 the two-step rule in log-SNR, r the start of the step before; a re-solved state steps by DDIM in
    both. References: Blasingame and Liu, 2024, AdjointDEIS, arXiv:2405.15020, equations 2.9 to 2.12.
    """
    rule = EULER if order == 1 else StateByEuler(TWO_M)
    return Pathwise(recovery_of(trajectory), ContinuousAdjoint("noise", rule, steps))
