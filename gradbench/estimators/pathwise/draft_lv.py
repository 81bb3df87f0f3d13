"""DRaFT-LV: the last step of the chain, restarted from the renoised sample with fresh noise."""

from dataclasses import dataclass, replace

import torch

from gradbench.diffusion.noise import KeyedNoise
from gradbench.estimators.monte_carlo.base import STREAM, Block, BlockSum, MonteCarlo
from gradbench.estimators.monte_carlo.transitions import no_last_step
from gradbench.estimators.pathwise.totals import Totals
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits


@dataclass(frozen=True)
class DraftLV(MonteCarlo):
    """The mean over n copies of the last step's gradient at

        x_{N-1} = (alpha_{N-1}/alpha_N) x_N + (sigma_{N-1}^2 - (alpha_{N-1}/alpha_N)^2 sigma_N^2)^(1/2) e,

    with the sample x_N and fresh noise e: the sample is renoised, and the sampler's last step is taken from there. If
    that step draws noise, each copy draws its own, since x_N depends on the chain's. If alpha_N = 1, this is the
    published method: x_{N-1} = alpha x_0 + sigma e, and the step gives x0_hat. The paper sums over n, which only
    changes the learning rate. The distribution of x_{N-1} is not the sampler's, so n = 1 is not draft[k=1]. No gradient
    reaches x_T. For rules that can start from a single point. References: Clark et al., 2024, DRaFT, arXiv:2309.17400.
    """

    n: int
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_last_step(traits)

    def queries(self, problem: Problem) -> float:
        return self.n

    def block(self, block: Block) -> BlockSum:
        problem, rollout = block.problem, block.rollout
        denoiser, last = problem.denoiser, rollout.steps - 1
        calls = denoiser.calls
        with torch.no_grad():
            x_0 = rollout.sample(block.x_T)
        forward = denoiser.calls - calls
        ratio, std = problem.denoiser.schedule.noising(rollout.grid[last + 1], rollout.grid[last])
        index = int(block.random.integers(1 << 31))
        fresh, anew = (
            KeyedNoise(problem.seed, tuple(x_0.shape), x_0.dtype, x_0.device, (STREAM, index, use)) for use in (1, 2)
        )
        interval = rollout.interval(last)
        totals, value = Totals(problem.wrt), 0.0
        for copy in range(self.n):
            again = interval if interval.noise is None else replace(interval, noise=anew(copy))
            with torch.enable_grad():
                x = rollout.rule.step(rollout.field, (ratio * x_0 + std * fresh(copy),), again)[0]
                total = block.value(x).sum() / self.n
            if problem.wrt:
                totals.add(torch.autograd.grad(total, problem.wrt, allow_unused=True))
            value += total.item()  # a read, for which the device is waited for: not before the copy is done
        return BlockSum(None, totals.values, x_0, value, forward)
