"""Score-function estimators: the gradient of E[L] from the log-densities of the transitions, without the gradient of L.

With x_{k+1} = mean_k + std_k z_k, grad log p(x_{k+1} | x_k) = (d mean_k/d theta)^T z_k / std_k, and

    d E[L] / d theta = E[ sum_k A (d mean_k/d theta)^T z_k / std_k ],      A = L(x_0) - baseline.

A step without noise has no density: what follows it (the next score, or L at the end of the chain) is differentiated
through it, which keeps the estimate unbiased. References: Williams, 1992, Machine Learning 8 (REINFORCE).
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
from gradbench.estimators.pathwise.pullback import Cotangents, pull
from gradbench.estimators.pathwise.totals import Totals
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import State
from gradbench.samplers.stochastic import StochasticRule


class ScoreFunction(MonteCarlo):
    """The backward sweep over a block's transitions; subclasses weight each sample and step.

    States are stored without a tape, and each transition is recomputed on its own tape.
    """

    fewest = 2

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_density(traits)

    @abstractmethod
    def advantage(self, values: Tensor, size: int) -> Tensor:
        """A for every sample, (size b), from the values of L; draws of the same x_T are b entries apart."""

    def score(self, block: Block, k: int, states: list[State], advantages: Tensor) -> Tensor:
        """std_k times the cotangent of step k's mean: A z for every sample, (size b, *x)."""
        assert block.rollout.noise is not None
        z = block.rollout.noise(k)
        return per_sample(advantages, z) * z

    def pathwise(self, block: Block) -> np.ndarray:
        """Mask (N, size b) of the steps that pass on the cotangent of what follows, with the noise held fixed."""
        return np.full((block.rollout.steps, len(block.x_T)), False)

    def prepared(self, block: Block) -> Block:
        """The block as it is run; by default as given."""
        return block

    def omits(self, block: Block, k: int) -> bool:
        """Whether step k is left out of the gradient."""
        return False

    def run(self, block: Block) -> tuple[list[State], Tensor]:
        """The N + 1 states of the chain, and x_0 (size b, *x)."""
        states = [block.rollout.start(block.x_T)]
        for k in range(block.rollout.steps):
            states.append(block.rollout.step(k, states[-1]))
        return states, block.rollout.finish(states[-1])

    def block(self, block: Block) -> BlockSum:
        block = self.prepared(block)
        rollout, problem, rule = block.rollout, block.problem, block.rollout.rule
        assert isinstance(rule, StochasticRule)
        calls = problem.denoiser.calls
        with torch.no_grad():
            states, x_0 = self.run(block)
            forward = problem.denoiser.calls - calls
            values = block.value(x_0)
            advantages = self.advantage(values, block.size)
        totals, carried = Totals(problem.wrt), None  # of the state after the current step
        silent, pathwise = replace(rollout, noise=None), self.pathwise(block)
        for k in reversed(range(rollout.steps)):
            interval = silent.interval(k)
            std = rule.std(interval)
            if self.omits(block, k):
                carried = None  # a step outside the active set has no share
                continue
            through = np.full(len(x_0), True) if std == 0.0 else pathwise[k]
            if through.any() and carried is None:
                carried = self._from_end(block, states[-1])
            # if noise is drawn, x_{k+1} is held fixed; only a rule's history carries cotangents across the step
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
        """Cotangents of the last state, from L itself."""
        with torch.enable_grad():
            inputs = tuple(s.detach().requires_grad_() for s in state)
            value = block.value(block.rollout.finish(inputs)).sum()
        return list(torch.autograd.grad(value, inputs, allow_unused=True))


@dataclass(frozen=True)
class Reinforce(ScoreFunction):
    """REINFORCE with a baseline: `none`; `mean`, over the block's draws of the same x_T including the draw itself,
    which scales the estimate by 1 - 1/m in a block of m; or `loo`, the mean over the other draws, which is unbiased.

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
