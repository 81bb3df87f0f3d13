"""Estimators that perturb the leaves instead of backpropagating: zeroth order, and first order in forward mode.

Every draw has its own direction over all targets, including x_T, and its own noise. Analytic denoisers process the
draws of a block in parallel (torch.func.vmap), networks one draw after another.
"""

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradbench.diffusion.denoiser import NetworkDenoiser
from gradbench.diffusion.noise import RecordedNoise
from gradbench.estimators.base import GradientEstimate, GradientEstimator
from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo
from gradbench.problems.problem import Problem

Value = Callable[..., Tensor]  # (noise, x_T, *leaves) -> L, summed over the batch


@contextlib.contextmanager
def swapped(module: nn.Module, leaves: Sequence[Tensor], tensors: Sequence[Tensor]) -> Iterator[None]:
    """Context in which the module and its submodules hold `tensors` in place of `leaves`."""
    places: list[tuple[dict[str, Any], str, Tensor, Tensor]] = []
    for part in module.modules():
        for home in (part._parameters, part._buffers, vars(part)):
            for key, held in list(home.items()):
                if isinstance(held, Tensor):
                    places += [
                        (home, key, held, new) for leaf, new in zip(leaves, tensors, strict=True) if held is leaf
                    ]
    for home, key, _, new in places:
        home[key] = new
    try:
        yield
    finally:
        for home, key, old, _ in places:
            home[key] = old


def value_of(problem: Problem) -> Value:
    """L as a function of the noise (N, b, *x) or None, x_T (b, *x) and the leaves."""

    def value(noise: Tensor | None, x_T: Tensor, *tensors: Tensor) -> Tensor:
        rollout = replace(problem.rollout, noise=None if noise is None else RecordedNoise(noise))
        with swapped(problem.denoiser, problem.wrt, tensors):
            return problem.objective(rollout.sample(x_T)).sum()

    return value


class Perturbed(MonteCarlo):
    """The slope of L along a random direction, times that direction: one number per draw."""

    @abstractmethod
    def direction(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        """The directions of all draws, with mean 0 and identity covariance."""

    @abstractmethod
    def slope(self, value: Value, noise: Tensor | None, point: list[Tensor], along: list[Tensor]) -> Tensor:
        """The slope of L at `point` in the direction `along`, with the noise of one draw."""

    def block(self, block: Block) -> BlockSum:
        problem, size = block.problem, block.size
        wanted = "x_T" in problem.targets
        point = [problem.x_T, *[leaf.detach() for leaf in problem.wrt]]
        along = [torch.from_numpy(self.direction((size, *p.shape), block.random)).to(p) for p in point]
        if not wanted:
            along[0] = torch.zeros_like(along[0])
        noise = _noises(block)
        calls, value = problem.denoiser.calls, value_of(problem)

        def one(noise: Tensor | None, *directions: Tensor) -> Tensor:
            return self.slope(value, noise, point, list(directions))

        # each draw runs its own chain of the problem's samples, so conditions are not repeated
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), problem.denoiser.repeated(1):
            if isinstance(problem.denoiser, NetworkDenoiser):
                slopes = [one(None if noise is None else noise[j], *(a[j] for a in along)) for j in range(size)]
                slope = torch.stack(slopes)
            else:
                slope = torch.func.vmap(one, in_dims=(None if noise is None else 0, *[0] * len(along)))(noise, *along)
            made = problem.denoiser.calls - calls
            forward = made // size if isinstance(problem.denoiser, NetworkDenoiser) else made
            first = replace(problem.rollout, noise=None if noise is None else RecordedNoise(noise[0]))
            x_0 = first.sample(problem.x_T)
            problem.denoiser.calls = calls + forward  # the calls of one draw, without its neighbours' and those for x_0
            objective = size * problem.objective(x_0).sum().item()
        grads = [torch.einsum("m,m...->m...", slope, a) for a in along]
        x_T = grads[0].flatten(0, 1) if wanted else None
        return BlockSum(x_T, [g.sum(0) for g in grads[1:]], x_0, objective, forward)


def _noises(block: Block) -> Tensor | None:
    """The noise of every draw, (size, N, b, *x), or None."""
    noise, size = block.rollout.noise, block.size
    if noise is None:
        return None
    return torch.stack([noise(k).unflatten(0, (size, -1)) for k in range(block.rollout.steps)], 1)


def _moved(point: Sequence[Tensor], along: Sequence[Tensor], by: float) -> list[Tensor]:
    return [p + by * a for p, a in zip(point, along, strict=True)]


@dataclass(frozen=True)
class SPSA(Perturbed):
    """(L(p + c d) - L(p - c d)) / (2c) d with random signs d = +-1 and the same noise on both sides.

    References: Spall, 1992, IEEE Transactions on Automatic Control 37.
    """

    c: float
    draws: int | None = None

    def queries(self, problem: Problem) -> float:
        return 2.0

    def direction(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return 2.0 * random.integers(0, 2, shape) - 1.0

    def slope(self, value: Value, noise: Tensor | None, point: list[Tensor], along: list[Tensor]) -> Tensor:
        return (value(noise, *_moved(point, along, self.c)) - value(noise, *_moved(point, along, -self.c))) / (
            2 * self.c
        )


@dataclass(frozen=True)
class EvolutionStrategies(SPSA):
    """SPSA with normal directions d: antithetic evolution strategies with standard deviation c.

    References: Salimans et al., 2017, arXiv:1703.03864 (mirrored sampling).
    """

    def direction(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return random.standard_normal(shape)


@dataclass(frozen=True)
class ForwardGradient(Perturbed):
    """(grad L . d) d with a normal direction d; the slope comes from forward-mode differentiation, without a tape.

    References: Baydin et al., 2022, Gradients without backpropagation, arXiv:2202.08587.
    """

    draws: int | None = None

    def direction(self, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
        return random.standard_normal(shape)

    def slope(self, value: Value, noise: Tensor | None, point: list[Tensor], along: list[Tensor]) -> Tensor:
        return torch.func.jvp(lambda *tensors: value(noise, *tensors), tuple(point), tuple(along))[1]


@dataclass(frozen=True)
class FiniteDifferences(GradientEstimator):
    """Central differences, (L(p + c e_i) - L(p - c e_i)) / (2c) for every i: 2 chains per coordinate. A last resort."""

    c: float

    def queries(self, problem: Problem) -> float:
        moving = [leaf for target in problem.targets for leaf in problem.of(target)]
        return 2.0 * sum(leaf.numel() for leaf in moving)

    def __call__(self, problem: Problem) -> GradientEstimate:
        value, own = value_of(problem), problem.rollout.noise
        noise = None if own is None else torch.stack([own(k) for k in range(problem.steps)])
        point = [problem.x_T, *[leaf.detach() for leaf in problem.wrt]]
        calls = problem.denoiser.calls
        grads: list[Tensor | None] = []
        with torch.no_grad():
            x_0 = problem.rollout.sample(problem.x_T)
            forward = problem.denoiser.calls - calls
            for place, tensor in enumerate(point):
                if not place and "x_T" not in problem.targets:
                    grads.append(None)
                    continue
                found = torch.zeros_like(tensor).flatten()
                for i in range(found.numel()):
                    sides: list[Tensor] = []
                    for sign in (1.0, -1.0):
                        moved = tensor.clone()
                        moved.view(-1)[i] += sign * self.c
                        sides.append(value(noise, *point[:place], moved, *point[place + 1 :]))
                    found[i] = (sides[0] - sides[1]) / (2 * self.c)
                grads.append(found.reshape(tensor.shape))
        found_grads = problem.gradients(grads[0], grads[1:])
        number = problem.objective(x_0).sum().item()
        backward = problem.denoiser.calls - calls - forward
        return GradientEstimate(found_grads, x_0, number, forward, backward, vjps=0)
