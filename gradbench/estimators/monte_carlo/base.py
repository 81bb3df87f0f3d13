"""Estimators that draw: the mean of a gradient estimate over many draws of the chain's noise, and its statistics.

The draws are cut into equal blocks of at least `BLOCKS`. A block is one chain whose batch is the problem's x_T
repeated, with noise of its own key (seed, step, block), so that any block can be made again alone.
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

BLOCKS = 32  # batch means: enough for a standard error to be known to an eighth
ELEMENTS = 1 << 16  # of the state, in a block: small enough to stay in cache
STREAM = 0xD4A3  # the keys of draws, apart from those of single chains


@dataclass(frozen=True)
class Block:
    """`size` draws side by side: x_T (size b, *x), the chain with its noise, and a generator for the method's own."""

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
    """What a block says: summed gradients of x_T (size b, *x) and of the leaves, x_0, the summed objective, and the
    network evaluations of its forward pass.
    """

    x_T: Tensor | None
    wrt: Sequence[Tensor | None]
    x_0: Tensor
    value: float
    forward: int


class MonteCarlo(GradientEstimator):
    """An estimator by draws; `draws` is None for the problem's own number, `fewest` the least that it can do with."""

    fewest: ClassVar[int] = 1
    draws: int | None

    def smallest(self) -> "MonteCarlo":
        """This estimator with the fewest draws, side by side: what its memory is measured on."""
        return replace(self, draws=self.fewest)  # type: ignore[type-var]

    @property
    def random(self) -> bool:
        """Whether what a draw costs is drawn as well."""
        return False

    def cost(self, problem: Problem) -> tuple[float, float, float] | None:
        """Where the cost is drawn, the means of nfe_forward, nfe_backward and vjps of one trajectory; else None."""
        return None

    def alone(self, problem: Problem, index: int) -> BlockSum:
        """The draw of that index with nothing beside it."""
        return self.made(make_block(problem, index, 1))

    def made(self, block: Block) -> BlockSum:
        """`block`, with what the network is told of each sample said to all of the sample's draws."""
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
    """A number that is an integer as an `int`, any other as it is."""
    return int(number) if number == int(number) else number


def layout(draws: int, elements: int) -> tuple[int, int]:
    """Number and size of the blocks: BLOCKS of two draws or more where there are as many, ELEMENTS at most each."""
    least = min(max(1, draws // 2), max(BLOCKS, -(-draws * elements // ELEMENTS)))
    whole = (count for count in range(least, 2 * least) if draws % count == 0)
    count = next(whole, least)  # equal blocks where they come out even, else a few draws more
    return count, -(-draws // count)


def make_block(problem: Problem, index: int, size: int) -> Block:
    """The block of that index, from its key alone."""
    x_T = repeated(problem.x_T, size)
    rollout = problem.rollout
    if rollout.noise is not None:
        noise = KeyedNoise(problem.seed, tuple(x_T.shape), x_T.dtype, x_T.device, (STREAM, index))
        rollout = replace(rollout, noise=noise)
    key = np.random.SeedSequence(problem.seed, spawn_key=(STREAM, index))
    return Block(problem, rollout, x_T, size, np.random.default_rng(key))


def mean_of(problem: Problem, answer: BlockSum, size: int) -> Gradients:
    """Gradients a draw: x_T (b, *x) of every draw's own copy, the shared leaves as they are."""
    x_T = None if answer.x_T is None else answer.x_T.unflatten(0, (size, -1)).mean(0)
    return problem.gradients(x_T, [None if g is None else g / size for g in answer.wrt])


def complete(means: list[Gradients]) -> list[Gradients]:
    """The same targets in every part: one that a part's draws did not reach has the gradient zero there."""
    examples = Gradients((target, gradient) for mean in reversed(means) for target, gradient in mean.items())
    zeros = examples.map(torch.zeros_like)
    return [Gradients((target, mean.get(target, zero)) for target, zero in zeros.items()) for mean in means]
