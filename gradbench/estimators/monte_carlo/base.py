"""Monte Carlo estimators: the mean of a gradient estimate over many draws of the chain's noise, with its statistics.

The draws are split into equal blocks, at least `BLOCKS` of them if there are enough draws. A block is one chain whose
batch is the problem's x_T repeated. Its noise is keyed by (seed, step, block), so any block can be regenerated alone.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gradbench.diffusion.batch import repeated
from gradbench.diffusion.noise import KeyedNoise
from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.samplers.rollout import Rollout

BLOCKS = 32  # batch means: enough to know a standard error to within one eighth
ELEMENTS = 1 << 16  # state entries per block: few enough to stay in cache
STREAM = 0xD4A3  # keeps the keys of draws apart from those of single chains


@dataclass(frozen=True)
class Block:
    """`size` draws in one batch: x_T (size b, *x), the chain with its noise, and the method's own random generator."""

    problem: Problem
    rollout: Rollout
    x_T: Tensor
    size: int
    random: np.random.Generator

    def value(self, x_0: Tensor) -> Tensor:
        """The objective of every sample, (size b)."""
        return self.problem.objective(x_0)


@dataclass(frozen=True)
class BlockSum:
    """The result of a block: the gradient of x_T of each draw (size b, *x), the gradients of the leaves and the
    objective, both summed over the draws, x_0, and the network evaluations of the forward pass.
    """

    x_T: Tensor | None
    wrt: Sequence[Tensor | None]
    x_0: Tensor
    value: float
    forward: int


class MonteCarlo(GradientEstimator):
    """An estimator that averages over draws. draws: their number, None for the problem's. fewest: the minimum."""

    fewest: ClassVar[int] = 1
    draws: int | None

    def smallest(self) -> "MonteCarlo":
        """This estimator with the fewest draws, all in one block; used to measure memory."""
        return replace(self, draws=self.fewest)  # type: ignore[type-var]

    @property
    def random(self) -> bool:
        """Whether the cost of a draw is itself random."""
        return False

    def cost(self, problem: Problem) -> tuple[float, float, float] | None:
        """The means of nfe_forward, nfe_backward and vjps per trajectory if the cost is random, else None."""
        return None

    def alone(self, problem: Problem, index: int) -> BlockSum:
        """The draw with this index, in a block of its own."""
        return self.made(make_block(problem, index, 1))

    def made(self, block: Block) -> BlockSum:
        """`block(block)`, with the network's inputs for each sample repeated for all of its draws."""
        with block.problem.denoiser.repeated(block.size):
            return self.block(block)

    @abstractmethod
    def block(self, block: Block) -> BlockSum:
        """The sum of the estimates of all draws of a block."""

    def __call__(self, problem: Problem) -> GradientEstimate:
        self.ensure_supported(problem)
        count, size = layout(self.draws or problem.draws, problem.x_T.numel())
        denoiser, means = problem.denoiser, list[Gradients]()
        value, forward, x_0 = 0.0, 0, problem.x_T
        calls, pulled = denoiser.calls, denoiser.pulled
        for index in range(count):
            answer = self.made(make_block(problem, index, size))
            means.append(mean_of(problem, answer, size))
            value += answer.value / (count * size)
            if not index:
                forward, x_0 = answer.forward, answer.x_0[: len(problem.x_T)].detach()
        means = complete(means)
        backward, pulls = (denoiser.calls - calls) // count - forward, (denoiser.pulled - pulled) // count
        forward, backward, pulls = map(whole, self.cost(problem) or (forward, backward, pulls))
        return GradientEstimate(
            Gradients.stacked(means, lambda parts: parts.mean(0)),
            x_0,
            value,
            forward,
            backward,
            pulls,
            draws=count * size,
            std_error=Gradients.stacked(means, lambda parts: parts.std(0) / count**0.5) if count > 1 else None,
            batch_means=means,
        )


def whole(number: float) -> float:
    """An integer-valued number as an `int`, any other number unchanged."""
    return int(number) if number == int(number) else number


def layout(draws: int, elements: int) -> tuple[int, int]:
    """Number and size of the blocks: BLOCKS or more, of at most ELEMENTS entries, as long as each keeps two draws."""
    least = min(max(1, draws // 2), max(BLOCKS, -(-draws * elements // ELEMENTS)))
    whole = (count for count in range(least, 2 * least) if draws % count == 0)
    count = next(whole, least)  # a count that divides the draws if there is one, else a few more draws
    return count, -(-draws // count)


def make_block(problem: Problem, index: int, size: int) -> Block:
    """The block with this index, determined by its key alone."""
    x_T = repeated(problem.x_T, size)
    rollout = problem.rollout
    if rollout.noise is not None:
        noise = KeyedNoise(problem.seed, tuple(x_T.shape), x_T.dtype, x_T.device, (STREAM, index))
        rollout = replace(rollout, noise=noise)
    key = np.random.SeedSequence(problem.seed, spawn_key=(STREAM, index))
    return Block(problem, rollout, x_T, size, np.random.default_rng(key))


def mean_of(problem: Problem, answer: BlockSum, size: int) -> Gradients:
    """Gradients per draw: the mean over draws of x_T's gradient (b, *x), and the leaves' sums divided by `size`."""
    x_T = None if answer.x_T is None else answer.x_T.unflatten(0, (size, -1)).mean(0)
    return problem.gradients(x_T, [None if g is None else g / size for g in answer.wrt])


def complete(means: list[Gradients]) -> list[Gradients]:
    """Gives every part the same targets; the gradient of a target that a part's draws did not reach is zero."""
    examples = Gradients((target, gradient) for mean in reversed(means) for target, gradient in mean.items())
    zeros = examples.map(torch.zeros_like)
    return [Gradients((target, mean.get(target, zero)) for target, zero in zeros.items()) for mean in means]
