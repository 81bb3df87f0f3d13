"""Adjoint matching: regression of the model's drift on the base model's adjoint, evaluated at the base model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo
from gradbench.estimators.monte_carlo.transitions import no_mean
from gradbench.estimators.pathwise.pullback import Totals, pull
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import State
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.stochastic import StochasticRule


def lean_adjoint(rollout: Rollout, states: list[State], cotangent: Tensor) -> list[Tensor]:
    """a_0..a_N (b, *x) of the base model: a_N = dL/dx_N, a_k = (d mean_k/dx_k)^T a_{k+1}; no gradients of leaves."""
    rule, none = rollout.rule, Totals([])
    assert isinstance(rule, StochasticRule)
    found = [cotangent]
    for k in reversed(range(rollout.steps)):
        interval = rollout.interval(k)
        (a,) = pull(lambda s, i=interval: rule.mean(rollout.field, s, i), states[k], [found[-1]], none)
        found.append(torch.zeros_like(cotangent) if a is None else a)
    return found[::-1]


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

    def block(self, block: Block) -> BlockSum:
        rollout, problem, rule = block.rollout, block.problem, block.rollout.rule
        assert isinstance(rule, StochasticRule)
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
        adjoint, totals = lean_adjoint(rollout, states, cotangent), Totals(problem.wrt)
        for k in range(rollout.steps) if problem.wrt else ():
            interval = rollout.interval(k)
            std = rule.std(interval) or 1.0  # the gradient at the base model does not depend on std
            with torch.enable_grad():
                (mean,) = rule.mean(rollout.field, states[k], interval)
                loss = matching_loss(mean, mean.detach(), std, adjoint[k + (self.index == "end")])
            totals.add(torch.autograd.grad(loss, problem.wrt, allow_unused=True))
        return BlockSum(adjoint[0], totals.values, x_0, value.item(), forward)
