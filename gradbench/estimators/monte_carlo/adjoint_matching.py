"""Adjoint matching: regression of the model's step on the base model's adjoint, evaluated at the base model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gradbench.estimators.base import GradientEstimate
from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo, mean_of
from gradbench.estimators.monte_carlo.transitions import no_deterministic_step, no_mean
from gradbench.estimators.pathwise.pullback import pull
from gradbench.estimators.pathwise.totals import Totals
from gradbench.estimators.pathwise.truncation import too_many
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import State
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.stochastic import StochasticRule


def lean_adjoint(rollout: Rollout, states: list[State], cotangent: Tensor, last: int | None = None) -> list[Tensor]:
    """a_0..a_N (b, *x) of the base model: a_N = dL/dx_N, a_k = (d mean_k/dx_k)^T a_{k+1}; no gradients of leaves.

    last: only over this many last steps; the adjoint before them is not computed.
    """
    none, found = Totals([]), [cotangent]
    for k in reversed(range(rollout.steps - (last or rollout.steps), rollout.steps)):
        (a,) = pull(lambda s, k=k: without_noise(rollout, k, s), states[k], [found[-1]], none)
        found.append(torch.zeros_like(cotangent) if a is None else a)
    return found[::-1]


def without_noise(rollout: Rollout, k: int, state: State) -> State:
    """The state after step k without that step's noise."""
    rule = rollout.rule
    step = rule.mean if isinstance(rule, StochasticRule) else rule.step
    return step(rollout.field, state, rollout.interval(k))


def matching_loss(mean: Tensor, base: Tensor, std: float, adjoint: Tensor) -> Tensor:
    """|(mean - base)/std + std a|^2 / 2, summed; its gradient at mean = base is (d mean/d theta)^T a."""
    return 0.5 * ((mean - base) / std + std * adjoint).square().sum()


@dataclass(frozen=True)
class AdjointMatching(MonteCarlo):
    """The gradient of the adjoint-matching loss at the base model: sum over steps of |(mean - base)/s + s a|^2 / 2.

    It equals the full pathwise gradient if a is the adjoint at the step's end (`index=end`); the released code uses the
    adjoint at its `start`. Away from the base model the loss pulls towards the distribution tilted by exp(-L), not the
    minimum of L. For rules whose state is one point. References: Domingo-Enrich et al., 2025, arXiv:2409.08861.
    """

    index: str
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_mean(traits)

    @property
    def last(self) -> int | None:
        """How many of the last steps are matched, None for all."""
        return None

    def block(self, block: Block) -> BlockSum:
        rollout, problem, rule = block.rollout, block.problem, block.rollout.rule
        calls, states = problem.denoiser.calls, [rollout.start(block.x_T)]
        with torch.no_grad():
            for k in range(rollout.steps):
                states.append(rollout.step(k, states[-1]))
        forward = problem.denoiser.calls - calls
        x_0 = states[-1][0]
        with torch.enable_grad():
            end = x_0.detach().requires_grad_()
            value = block.value(end).sum()
        (cotangent,) = torch.autograd.grad(value, end)
        adjoint, totals = lean_adjoint(rollout, states, cotangent, self.last), Totals(problem.wrt)
        first = rollout.steps - (self.last or rollout.steps)
        for k in range(first, rollout.steps) if problem.wrt else ():
            # the gradient at the base model does not depend on std
            std = rule.std(rollout.interval(k)) or 1.0 if isinstance(rule, StochasticRule) else 1.0
            with torch.enable_grad():
                (mean,) = without_noise(rollout, k, states[k])
                loss = matching_loss(mean, mean.detach(), std, adjoint[k - first + (self.index == "end")])
            totals.add(torch.autograd.grad(loss, problem.wrt, allow_unused=True))
        return BlockSum(None if first else adjoint[0], totals.values, x_0, value.item(), forward)


@dataclass(frozen=True)
class ODEAdjointMatching(AdjointMatching):
    """ODE adjoint matching: the same on a deterministic chain, with the adjoint of its own steps, at the base model.

    On rectified flow the loss is sum_k |h_k| |v - v_base - a_{k+1}|^2 / 2, and its gradient is the exact one of the
    chain; with k the adjoint is that of the last k steps, and the gradient is DRaFT's. We do not know whether the
    paper's adjoint is that of the base or of the current model, nor at which end of a step it is taken: here it is the
    base model's, taken at the end or, with index=start, at the start. References: arXiv:2605.06583, of which only the
    abstract was read.
    """

    k: int | None = None

    def __call__(self, problem: Problem) -> GradientEstimate:
        self.ensure_supported(problem)
        denoiser = problem.denoiser
        calls, pulled = denoiser.calls, denoiser.pulled
        found = self.alone(problem, 0)
        backward, pulls = denoiser.calls - calls - found.forward, denoiser.pulled - pulled
        grads = mean_of(problem, found, 1)
        return GradientEstimate(grads, found.x_0.detach(), found.value, found.forward, backward, pulls)

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_deterministic_step(traits) or too_many("k", self.k, traits)

    @property
    def last(self) -> int | None:
        return self.k
