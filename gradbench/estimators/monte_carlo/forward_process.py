"""Losses on the forward process: samples are noised again, and the network is fitted there, weighted by the reward.

x_0 is sampled by any sampler from fresh noise, e and t are drawn, and with the output O of `diffusion.detached` (the
velocity of rectified flow, else v)

    x_t = alpha x_0 + sigma e,    u = w_x0 x_0 + w_eps e,    v = O(x_t),

of which v alone is on a tape. No Jacobian of any sampler enters. What is estimated is the gradient of E[L] under the
reverse SDE, the memoryless process of Domingo-Enrich et al., 2025, arXiv:2409.08861, with its times weighted by the
loss: where v is exact for its own samples,

    d/d theta E[L] = -d/d theta E_t[ w_t E[ L |v - u|^2 ] ],    w_t = W alpha / (sigma D^2) (t_0 - t_N),

W = sigma' alpha - sigma alpha', D = alpha w_eps - sigma w_x0; for rectified flow, w_t = (1 - t)/t.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gradbench.diffusion.batch import per_sample
from gradbench.diffusion.detached import detached_chart
from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo
from gradbench.estimators.monte_carlo.stale import elsewhere
from gradbench.estimators.pathwise.totals import Totals
from gradbench.estimators.refusals import no_point
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.rollout import Rollout


@dataclass(frozen=True)
class Noised:
    """Samples x_0 (n, *x) noised with e to the time t: x, and the target u of the output."""

    rollout: Rollout
    x_0: Tensor
    e: Tensor
    t: float

    @property
    def weights(self) -> tuple[float, float]:
        """(w_x0, w_eps) of the output."""
        return detached_chart("v", self.rollout.schedule).weights(self.t)

    @property
    def alpha(self) -> float:
        """alpha at t."""
        return self.rollout.schedule.alpha(self.t)

    @property
    def sigma(self) -> float:
        """sigma at t: the t of rectified flow."""
        return self.rollout.schedule.sigma(self.t)

    @property
    def determinant(self) -> float:
        """D = alpha w_eps - sigma w_x0, 1 for rectified flow and for variance-preserving schedules."""
        w_x0, w_eps = self.weights
        return self.alpha * w_eps - self.sigma * w_x0

    @property
    def memoryless(self) -> float:
        """The weight of |v - u|^2 that makes the loss the reverse SDE's gradient, see the top of this file."""
        return self.wronskian * self.alpha / (self.sigma * self.determinant**2) * self.span

    @property
    def wronskian(self) -> float:
        """W = sigma' alpha - sigma alpha'."""
        return self.rollout.schedule.wronskian(self.t)

    @property
    def span(self) -> float:
        """t_0 - t_N, over which the mean over times is an integral."""
        return self.rollout.grid[0] - self.rollout.grid[-1]

    @property
    def x(self) -> Tensor:
        """x_t."""
        return self.rollout.schedule.noised(self.x_0, self.e, self.t)

    @property
    def u(self) -> Tensor:
        """The output that corresponds to x_0 and e."""
        w_x0, w_eps = self.weights
        return w_x0 * self.x_0 + w_eps * self.e

    def predict(self) -> Tensor:
        """The network's output at x."""
        return self.rollout.denoiser.field(self.x, self.t, self.weights)

    def clean(self, v: Tensor) -> Tensor:
        """The x_0 that x and an output v imply."""
        return (self.weights[1] * self.x - self.sigma * v) / self.determinant


def mean(x: Tensor) -> Tensor:
    """The mean over the entries of every sample, (n)."""
    return x.flatten(1).mean(1)


@dataclass(frozen=True, kw_only=True)
class ForwardProcess(MonteCarlo):
    """A loss whose gradient is taken at the current weights.

    law: `grid` draws the sampler's own times without replacement, `stratified` one from each equal part of those but
    the first and the last, `uniform` a time from each equal part of the range; `times` of them, shared by all draws
    of a block. scale: `released` normalises the rewards r = -L of a block, A = (r - mean)/(std + 1e-6), |A| <=
    advantage_clip, and takes means over the D entries of a sample; `summed` undoes both, with A = r minus the mean
    of the other draws. stale: the weights that sampled x_0 are this far away, see `elsewhere`. Only the leaves are
    reached: the x_T of the problem is not used.
    """

    fewest: ClassVar[int] = 2
    law: str
    times: int
    scale: str = "summed"
    advantage_clip: float = 5.0
    stale: float = 0.0
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_point(traits, "a loss on the forward process")

    @abstractmethod
    def loss(self, at: Noised, v: Tensor, old: Tensor, signal: Tensor) -> Tensor:
        """The loss of every sample, (n): at the output v on the tape and that of the stale weights, `old`."""

    def signal(self, block: Block, x_0: Tensor, values: Tensor) -> Tensor:
        """What the loss uses of L, whose values at x_0 are (n): by default the advantage of every sample, (n)."""
        return self.advantage(-values)

    def advantage(self, rewards: Tensor) -> Tensor:
        """A of every sample, (n)."""
        centred = rewards - rewards.mean()
        if self.scale == "summed":
            return centred * (len(rewards) / (len(rewards) - 1))
        limit = self.advantage_clip
        return (centred / (rewards.std() + 1e-6)).clamp(-limit, limit)

    def chosen(self, rollout: Rollout, random: np.random.Generator) -> list[float]:
        """The times of a block."""
        n, grid = rollout.steps, rollout.grid
        if self.law == "grid":
            return [grid[k] for k in random.permutation(n)[: min(self.times, n)]]
        if self.law == "stratified":
            return [grid[random.choice(part)] for part in strata(n, self.times)]
        places = (np.arange(self.times) + random.random(self.times)) / self.times
        return [float(grid[-1] + share * (grid[0] - grid[-1])) for share in places]

    def block(self, block: Block) -> BlockSum:
        problem, rollout = block.problem, block.rollout
        calls, totals = problem.denoiser.calls, Totals(problem.wrt)

        def normal() -> Tensor:
            return torch.from_numpy(block.random.standard_normal(tuple(block.x_T.shape))).to(block.x_T)

        state = block.random.bit_generator.state
        with torch.no_grad(), elsewhere(problem.wrt, self.stale, block.random):
            x_0 = rollout.sample(rollout.schedule.sigma(rollout.grid[0]) * normal())
            values = block.value(x_0)
        forward, signal = problem.denoiser.calls - calls, self.signal(block, x_0, values)
        times = self.chosen(rollout, block.random) if problem.wrt else []
        for t in times:
            at = Noised(rollout, x_0, normal(), t)
            with torch.enable_grad():
                v = at.predict()
            old = v.detach() if not self.stale else self._stale(block, at, state)
            with torch.enable_grad():
                total = self.loss(at, v, old, signal).sum() / len(times)
            totals.add(torch.autograd.grad(total, problem.wrt, allow_unused=True))
        return BlockSum(None, totals.values, x_0, values.sum().item(), forward)

    def _stale(self, block: Block, at: Noised, state: Any) -> Tensor:
        """The output of the weights that sampled x_0: the same direction, from the same state of the generator."""
        again = np.random.default_rng()
        again.bit_generator.state = state
        with torch.no_grad(), elsewhere(block.problem.wrt, self.stale, again):
            return at.predict()


def strata(steps: int, count: int) -> list[np.ndarray]:
    """At most `count` equal parts of the indices 1..N - 2, or of all where there are fewer than three."""
    indices = np.arange(1, steps - 1) if steps > 2 else np.arange(steps)
    return np.array_split(indices, min(count, len(indices)))


@dataclass(frozen=True, kw_only=True)
class DiffusionNFT(ForwardProcess):
    """With B = beta, c = advantage_clip, v+ = B v + (1 - B) v_old, v- = (1 + B) v_old - B v, X the x_0 that either
    implies, and w = max(mean|X - x_0|, 1e-5), detached,

        loss = c { rr/B mean((X+ - x_0)^2)/w+ + (1 - rr)/B mean((X- - x_0)^2)/w- },    rr = A/(2 c) + 1/2 in [0, 1].

    At v = v_old its gradient is A 2 (sigma/D)/(mean|v - u| dim) (dv/d theta)^T (v - u), whatever B: that of AWM with
    weight=huber times 2 rms(v - u)/mean|v - u|. References: Zheng et al., 2025, DiffusionNFT, arXiv:2509.16117, and its
    released code.
    """

    beta: float

    def loss(self, at: Noised, v: Tensor, old: Tensor, signal: Tensor) -> Tensor:
        c, rr = self.advantage_clip, signal / (2 * self.advantage_clip) + 0.5
        rr = rr if self.scale == "summed" else rr.clamp(0, 1)
        total = torch.zeros_like(rr)
        for share, output in ((rr, old + self.beta * (v - old)), (1 - rr, old - self.beta * (v - old))):
            off = at.clean(output) - at.x_0
            weight = mean(off.abs()).detach().clamp(min=1e-5)
            total = total + share * mean(off.square()) / weight
        return c / self.beta * total * (at.x_0[0].numel() if self.scale == "summed" else 1)


P = 0.25  # the exponent of weight=ghuber


@dataclass(frozen=True, kw_only=True)
class AdvantageWeightedMatching(ForwardProcess):
    """loss = -min(A rho, A clip(rho, 0, 2)) with rho = exp(W(l_old) - W(l)), l = mean((v - u)^2) and, by `weight`,

        uniform l,    t sigma l,    t2 sigma^2 l,    huber sigma (sqrt(l + 1e-10) - 1e-5),
        ghuber sigma ((l + 1e-10)^p - 1e-10^p)/p, p = 1/4,    memoryless w_t l (ours, see the top of this file).

    A is divided by advantage_clip. On the policy its gradient is 2 A W'(l) (dv/d theta)^T (v - u) / dim. The released
    penalties on the distance from two reference models are left out; they vanish at these. References: Xue et al.,
    2025, Advantage weighted matching, arXiv:2509.25050, and its released code.
    """

    weight: str

    def surrogate(self, at: Noised, error: Tensor) -> Tensor:
        """W(l) of every sample."""
        if self.weight in ("uniform", "t", "t2"):
            return at.sigma ** ("uniform", "t", "t2").index(self.weight) * error
        if self.weight == "memoryless":
            return at.memoryless * error
        power = 0.5 if self.weight == "huber" else P
        scale = 1.0 if self.weight == "huber" else P
        return at.sigma * ((error + 1e-10) ** power - 1e-10**power) / scale

    def loss(self, at: Noised, v: Tensor, old: Tensor, signal: Tensor) -> Tensor:
        gain = signal * at.x_0[0].numel() if self.scale == "summed" else signal / self.advantage_clip
        new, before = (self.surrogate(at, mean((output - at.u).square())) for output in (v, old))
        ratio = torch.exp(before - new)
        return -torch.minimum(gain * ratio, gain * ratio.clamp(0, 2))


@dataclass(frozen=True, kw_only=True)
class ReinforceAdjointMatching(ForwardProcess):
    """RAM: loss = |v - sg(v_ref + R (u - v))|^2, R = A times `strength`, v_ref the output of the stale weights.

    At the base, v = v_ref, its gradient is AWM's with weight=uniform and A = R; away from it, v - v_ref pulls back. The
    strength is 1 over the weight of the divergence from the base. References: RAM, 2026, arXiv:2605.10759, equation 17,
    as in reimplementations.
    """

    strength: float

    def loss(self, at: Noised, v: Tensor, old: Tensor, signal: Tensor) -> Tensor:
        reward = per_sample(self.strength * signal, like=v)
        target = (old + reward * (at.u - v)).detach()
        error = (v - target).square().flatten(1)
        return error.sum(1) if self.scale == "summed" else error.mean(1)


@dataclass(frozen=True, kw_only=True)
class EndpointAdjoint(ForwardProcess):
    """Based on the abstract of EAM, not its paper: the samples' own gradients, carried back by a closed-form adjoint.

    With data of variance c the adjoint of the memoryless process is a_t = alpha c / (alpha^2 c + sigma^2) grad L(x_0),
    and the gradient of the matching loss at the base is that of

        -(2 W / D) (t_0 - t_N) <v, a_t>,

    the memoryless gradient where the data are Gaussian with this variance. References: arXiv:2605.11480, of which only
    the abstract was read.
    """

    c: float

    def signal(self, block: Block, x_0: Tensor, values: Tensor) -> Tensor:
        with torch.enable_grad():
            end = x_0.detach().requires_grad_()
            total = block.value(end).sum()
        return torch.autograd.grad(total, end)[0]

    def loss(self, at: Noised, v: Tensor, old: Tensor, signal: Tensor) -> Tensor:
        carried = at.alpha * self.c / (at.alpha**2 * self.c + at.sigma**2)
        return -(2 * at.wronskian / at.determinant) * at.span * carried * (v * signal).flatten(1).sum(1)
