"""Finite-difference flow optimisation: two chains from one x_T, and the secant of the reward between their ends."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradbench.diffusion.batch import per_sample
from gradbench.diffusion.detached import detached_chart
from gradbench.diffusion.noise import KeyedNoise
from gradbench.estimators.monte_carlo.base import STREAM, Block, BlockSum, MonteCarlo
from gradbench.estimators.monte_carlo.stale import elsewhere
from gradbench.estimators.monte_carlo.transitions import no_density
from gradbench.estimators.pathwise.planned import Seen
from gradbench.estimators.pathwise.totals import Totals
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.policy import Churn, churned
from gradbench.samplers.rollout import Rollout

FLOOR, TRUST = 1e-6, 0.03


@dataclass(frozen=True)
class FiniteDifferenceFlow(MonteCarlo):
    """FDFO. With the ends a, b of two chains with independent noise, r = -L, d = (a - b)/2, R = (r_a - r_b)/2 and
    dn = d/(mean(d^2) + 1e-6), every step of the first chain has, at its own state and output v_ref,

        loss = -R rho + |R|/(2 0.03) (rho - 1)^2,    rho = exp(mean(dn^2) - mean((v - v_ref + dn)^2)),

    and those of the second the same with -R and -dn. On the policy this is the gradient with every Jacobian left out,
    every step of the same weight, and grad r replaced by its slope along d, so that r need not be differentiable. One
    draw is one pair. A `churn` sampler's x_T is churned too, anew for each chain; with any other
    sampler both start at x_T. scale: `released` is the mean over steps, chains and the D entries of a sample; `summed`
    undoes the mean over D and its factor 2, and multiplies by the length of the range in the clock of v. stale: as in
    `ddpo`. x_T is not reached. References: Finite-difference flow optimization, 2026, arXiv:2603.12893, and its
    released code.
    """

    scale: str
    stale: float
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_density(traits)

    def queries(self, problem: Problem) -> float:
        return 2.0

    def block(self, block: Block) -> BlockSum:
        problem, rollout = block.problem, block.rollout
        calls, totals = problem.denoiser.calls, Totals(problem.wrt)
        key = (STREAM, int(block.random.integers(1 << 31)), 1)  # apart from the blocks' own
        noise = KeyedNoise(problem.seed, tuple(block.x_T.shape), block.x_T.dtype, block.x_T.device, key)
        with torch.no_grad(), elsewhere(problem.wrt, self.stale, block.random):
            chains = [_Chain.run(one, self._start(block)) for one in (rollout, replace(rollout, noise=noise))]
        forward = problem.denoiser.calls - calls
        first, second = (-block.value(chain.end) for chain in chains)
        slope, apart = (first - second) / 2, (chains[0].end - chains[1].end) / 2
        unit = apart / (per_sample(apart.square().flatten(1).mean(1), apart) + FLOOR)
        share = 1 / (2 * rollout.steps)
        if self.scale == "summed":
            chart = detached_chart("v", rollout.schedule)
            share *= apart[0].numel() / 2 * abs(chart.tau(rollout.grid[0]) - chart.tau(rollout.grid[-1]))
        for chain, sign in zip(chains, (1.0, -1.0), strict=True):
            for k in range(rollout.steps) if problem.wrt else ():
                with torch.enable_grad():
                    v = chain.output(k)
                    loss = share * _loss(v, chain.outputs[k], sign * slope, sign * unit).sum()
                totals.add(torch.autograd.grad(loss, problem.wrt, allow_unused=True))
        return BlockSum(None, totals.values, chains[0].end, -first.sum().item(), forward)

    def _start(self, block: Block) -> Tensor:
        rule = block.rollout.rule
        if not isinstance(rule, Churn):
            return block.x_T
        z = torch.from_numpy(block.random.standard_normal(tuple(block.x_T.shape))).to(block.x_T)
        return (block.x_T + churned(rule.gamma) * z) / (1 + rule.gamma)


def _loss(v: Tensor, reference: Tensor, slope: Tensor, unit: Tensor) -> Tensor:
    """The loss of one step, (n)."""
    inside = unit.square() - (v - reference + unit).square()
    rho = torch.exp(inside.flatten(1).mean(1))
    return -slope * rho + slope.abs() / (2 * TRUST) * (rho - 1) ** 2


@dataclass(frozen=True)
class _Chain:
    """A finished chain, with its states and the outputs v there."""

    rollout: Rollout
    states: list[Tensor]
    outputs: list[Tensor]

    @staticmethod
    def run(rollout: Rollout, x_T: Tensor) -> "_Chain":
        chain, state = _Chain(rollout, [], []), rollout.start(x_T)
        for k in range(rollout.steps):
            seen, point = Seen(rollout.field), state[0]
            state = rollout.rule.step(seen, state, rollout.interval(k))
            chain.states.append(point)
            chain.outputs.append(seen.output(rollout, detached_chart("v", rollout.schedule), k, point))
        chain.states.append(rollout.finish(state))
        return chain

    @property
    def end(self) -> Tensor:
        return self.states[-1]

    def output(self, k: int) -> Tensor:
        """v at the state before step k."""
        rollout, t = self.rollout, self.rollout.grid[k]
        return rollout.denoiser.field(self.states[k], t, detached_chart("v", rollout.schedule).weights(t))
