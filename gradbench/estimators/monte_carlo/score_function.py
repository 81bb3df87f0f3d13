"""Score-function estimators: the gradient of E[L] from the transitions' log-densities, with no gradient of L needed.

With x_{k+1} = mean_k + std_k z_k, grad log p(x_{k+1} | x_k) = (d mean_k/d theta)^T z_k / std_k, and

    d E[L] / d theta = E[ sum_k A (d mean_k/d theta)^T z_k / std_k ],      A = L(x_0) - baseline.

A step that draws no noise has no density; what follows it is differentiated through it, and at the end of the chain L
itself, which keeps the estimate unbiased. References: Williams, 1992, Machine Learning 8 (REINFORCE).
"""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.diffusion.batch import per_sample
from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo
from gradbench.estimators.monte_carlo.transitions import no_density
from gradbench.estimators.pathwise.pullback import Cotangents, Totals, pull
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import State
from gradbench.samplers.stochastic import StochasticRule


class ScoreFunction(MonteCarlo):
    """The sweep over a block's transitions; subclasses weight each sample and step.

    States are stored without a tape, and each transition is taken again on a tape of its own.
    """

    fewest = 2

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_density(traits)

    @abstractmethod
    def advantage(self, values: Tensor, size: int) -> Tensor:
        """A of every sample (size b) from the values of L, the draws of one x_T lying b apart."""

    def score(self, block: Block, k: int, states: list[State], advantages: Tensor) -> Tensor:
        """std_k times the cotangent of step k's mean: A z of every sample."""
        assert block.rollout.noise is not None
        z = block.rollout.noise(k)
        return per_sample(advantages, z) * z

    def pathwise(self, block: Block) -> np.ndarray:
        """(N, n): where a sample's step passes on the cotangent of what follows, its noise held fixed."""
        return np.full((block.rollout.steps, len(block.x_T)), False)

    def run(self, block: Block) -> tuple[list[State], Tensor]:
        """The states of the chain, and x_0."""
        states = [block.rollout.start(block.x_T)]
        for k in range(block.rollout.steps):
            states.append(block.rollout.step(k, states[-1]))
        return states, block.rollout.finish(states[-1])

    def block(self, block: Block) -> BlockSum:
        rollout, problem, rule = block.rollout, block.problem, block.rollout.rule
        assert isinstance(rule, StochasticRule)
        calls = problem.denoiser.calls
        with torch.no_grad():
            states, x_0 = self.run(block)
            forward = problem.denoiser.calls - calls
            values = block.value(x_0)
            advantages = self.advantage(values, block.size)
        totals, carried = Totals(problem.wrt), None  # of the state behind the step at hand
        silent, pathwise = replace(rollout, noise=None), self.pathwise(block)
        for k in reversed(range(rollout.steps)):
            interval = silent.interval(k)
            std = rule.std(interval)
            through = np.full(len(x_0), True) if std == 0.0 else pathwise[k]
            if through.any() and carried is None:
                carried = self._from_end(block, states[-1])
            # what stands behind a draw is held fixed; only a rule's history reaches over it
            history = carried[1:] if carried else [None] * (len(states[k + 1]) - 1)
            if through.all():
                assert carried is not None
                point = carried[0]
            else:
                point = self.score(block, k, states, advantages) / std
                if through.any() and carried is not None:
                    passed = per_sample(torch.from_numpy(through).to(point), point)
                    point = passed * carried[0] + (1 - passed) * point  # type: ignore[operator]
            carried = pull(lambda s, i=interval: rule.mean(rollout.field, s, i), states[k], [point, *history], totals)
        x_T = None
        if "x_T" in problem.targets and carried is not None:
            (x_T,) = pull(lambda s: rollout.start(*s), (block.x_T,), carried, Totals([]))
        return BlockSum(x_T, totals.values, x_0, values.sum().item(), forward)

    def _from_end(self, block: Block, state: State) -> Cotangents:
        """Cotangents of L itself at the last state."""
        with torch.enable_grad():
            inputs = tuple(s.detach().requires_grad_() for s in state)
            value = block.value(block.rollout.finish(inputs)).sum()
        return list(torch.autograd.grad(value, inputs, allow_unused=True))


@dataclass(frozen=True)
class Reinforce(ScoreFunction):
    """REINFORCE with a baseline: `none`; `mean`, that of the block's draws of the same x_T, the draw itself among them,
    which scales the estimate by 1 - 1/m in a block of m; `loo`, the mean of the others, without that bias.

    References: Williams, 1992, Machine Learning 8; Kool, van Hoof and Welling, 2019, ICLR workshop (leave-one-out).
    """

    baseline: str | None
    draws: int | None = None

    def advantage(self, values: Tensor, size: int) -> Tensor:
        if self.baseline in (None, "none"):
            return values
        grouped = values.unflatten(0, (size, -1))
        if self.baseline == "mean":
            return (grouped - grouped.mean(0)).flatten()
        if size < 2:
            raise UsageError(f"a leave-one-out baseline needs at least 2 draws a block, got {size}: raise draws")
        return ((grouped - grouped.mean(0)) * (size / (size - 1))).flatten()
