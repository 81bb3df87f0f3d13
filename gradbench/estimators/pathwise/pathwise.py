"""Pathwise estimators: a recovery and a pullback, joined by one autograd function."""

import contextlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.estimators.hooks import silenced
from gradbench.estimators.leaves import Demanded, Leaves, guarded
from gradbench.estimators.pathwise.adjoints import ADAPTIVE
from gradbench.estimators.pathwise.binomial import Binomial
from gradbench.estimators.pathwise.pullback import ContinuousAdjoint, Pullback, StateByEuler, Transpose
from gradbench.estimators.pathwise.recoveries import recovery_of
from gradbench.estimators.pathwise.recovery import Inverted, Recovery, Stored
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

    keeps_tape: whether that tape is the chain's own, which also holds features captured by hooks.
    """

    keeps_tape: ClassVar[bool] = False

    @abstractmethod
    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        """x_0 (b, *x); its backward pass is this estimator, with respect to x_T (b, *x) and the tensors of `wrt`.

        `Leaves.of(wrt)` gives the distinct ones, and decides whether one that is never reached is an error.
        """

    def reaches_x_T(self, steps: int) -> bool:
        """Whether this estimator can give the gradient of x_T through a chain of this many steps."""
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
    """The whole chain on one tape: the exact gradient of the sampler, with the memory of N network tapes.

    References: Linnainmaa, 1976, BIT 16.
    """

    keeps_tape = True
    per_step = True

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        leaves = Leaves.of(wrt)
        with leaves.guarding(rollout.denoiser):
            x_0 = rollout.sample(x_T)
        return Demanded.apply(x_0, x_0.grad_fn, leaves) if leaves.demanded and leaves else x_0  # type: ignore


@dataclass(frozen=True)
class Pathwise(Differentiable):
    """A recovery and a pullback: the pullback carries dL/dx_0 back over the states that the recovery gives.

    Limits: no second derivatives; `wrt` must list every leaf whose gradient is wanted.
    """

    recovery: Recovery
    pullback: Pullback
    per_step = True

    def refuses(self, traits: ProblemTraits) -> str | None:
        return self.recovery.refuses(traits) or self.pullback.refuses(traits, self.recovery)

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        leaves = Leaves.of(wrt)
        return _Chain.apply(rollout, self.recovery, self.pullback, leaves, x_T, *leaves)  # type: ignore[return-value]


def refuse_second_order() -> None:
    """`RuntimeError` in a backward pass that is itself recorded (create_graph=True), as for a second derivative.

    With torch's own once_differentiable, `autograd.grad` would succeed but silently omit the chain's contribution.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("this gradient has no second derivative: use gradient='backprop' where create_graph=True")


class _Chain(torch.autograd.Function):
    """The chain as one node of the tape. Forward: the recovery runs it. Backward: the pullback sweeps over it."""

    @staticmethod
    def forward(
        ctx: Any, rollout: Rollout, recovery: Recovery, pullback: Pullback, leaves: Leaves, x_T: Tensor, *wrt: Tensor
    ) -> Tensor:
        start = rollout.start(x_T)
        ctx.change = pullback.changes(rollout, recovery, start) if leaves.public else None
        with ctx.change.noting() if ctx.change else contextlib.nullcontext():
            trajectory = recovery.run(rollout, start)
            with trajectory.ambient.record(rollout.steps):
                x_0 = rollout.finish(trajectory.last)
        trajectory.ambient.settle()
        ctx.pullback, ctx.trajectory, ctx.leaves, ctx.x_0, ctx.rollout = pullback, trajectory, leaves, x_0, rollout
        ctx.save_for_backward(x_T, *wrt)  # saved so that an in-place change before the backward pass is an error
        return x_0.clone()

    @staticmethod
    @guarded
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        refuse_second_order()
        x_T, *saved = ctx.saved_tensors
        needed = ctx.needs_input_grad[5:]
        wrt = [leaf for leaf, need in zip(saved, needed, strict=True) if need]
        with silenced(wrt), ctx.change.comparing(ctx.trajectory.ambient) if ctx.change else contextlib.nullcontext():
            grad_x_T, totals = ctx.pullback.sweep(ctx.trajectory, x_T, ctx.x_0, cotangent, wrt)
        ctx.leaves.refuse_unreached([leaf for leaf, total in zip(wrt, totals, strict=True) if total is None])
        found = iter(totals)
        return None, None, None, None, grad_x_T, *(next(found) if need else None for need in needed)


def checkpoint(offload: str | None = None) -> Pathwise:
    """Stored states and the exact transpose: one step's tape at a time, N more evaluations.

    offload: `cpu` keeps the states in host memory. For a Runge-Kutta rule this computes the same gradient as the
    symplectic adjoint method, a partitioned Runge-Kutta method for the adjoint equation (Matsubara, Miyatake and
    Yaguchi, 2021, arXiv:2102.09750). References: Griewank and Walther, 2000, Algorithm 799 (revolve), section 2; Chen
    et al., 2016, arXiv:1604.06174.
    """
    return Pathwise(Stored(offload), Transpose())


def revolve(snapshots: int) -> Pathwise:
    """Binomial checkpointing: `snapshots` states, including the start, with the fewest recomputed steps.

    References: Griewank and Walther, 2000, Algorithm 799 (revolve), ACM TOMS 26.
    """
    return Pathwise(Binomial(snapshots), Transpose())


def reversible() -> Pathwise:
    """Each state from the next by inverting the sampler's step, then the exact transpose; no states are kept.

    References: McCallum and Foster, 2024, arXiv:2410.11648; Kidger et al., 2021, arXiv:2105.13493.
    """
    return Pathwise(Inverted(), Transpose())


def rule_of(name: str, rtol: float, atol: float) -> Rule:
    """The rule named by the option `rule`; the tolerances apply to the adaptive rule only."""
    return Adaptive(DOPRI5, rtol, atol) if name == ADAPTIVE else RULES[name]


def continuous_adjoint(
    chart: str, rule: str, trajectory: str, steps: int | None, snapshots: int, rtol: float, atol: float
) -> Pathwise:
    """The continuous adjoint by any rule in any chart, with any recovery of the states, in `steps` backward steps.

    References: Chen et al., 2018, arXiv:1806.07366, algorithm 1.
    """
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

    Order 1 is Euler's rule for the adjoint equation in the noise chart, evaluated at the clean end t of each interval
    [t, s]. Order 2 is the two-step rule in log-SNR, with r the start of the previous step. In both, re-solved states
    are computed by DDIM. References: Blasingame and Liu, 2024, AdjointDEIS, arXiv:2405.15020, equations 2.9 to 2.12.
    """
    rule = EULER if order == 1 else StateByEuler(TWO_M)
    return Pathwise(recovery_of(trajectory), ContinuousAdjoint("noise", rule, steps))
