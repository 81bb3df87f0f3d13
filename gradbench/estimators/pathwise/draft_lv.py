"""DRaFT-LV: the last step of the chain, from the sample noised again, with noise drawn afresh."""

from dataclasses import dataclass, replace

import torch

from gradbench.diffusion.noise import KeyedNoise
from gradbench.estimators.monte_carlo.base import STREAM, Block, BlockSum, MonteCarlo
from gradbench.estimators.monte_carlo.transitions import no_last_step
from gradbench.estimators.pathwise.pullback import Totals
from gradbench.problems.traits import ProblemTraits


@dataclass(frozen=True)
class DraftLV(MonteCarlo):
    """The mean over n of the last step's gradient at

        x_{N-1} = (alpha_{N-1}/alpha_N) x_N + (sigma_{N-1}^2 - (alpha_{N-1}/alpha_N)^2 sigma_N^2)^(1/2) e,

    x_N the sample and e fresh noise: the sample noised again, and the sampler's last step taken from there. Where that
    step draws noise, each of the n copies draws its own anew, since x_N knows the chain's. To alpha = 1 it is x_{N-1} =
    alpha x_0 + sigma e and x0_hat, as published. The paper sums over n, which is another learning
    rate. The law of x_{N-1} is not the sampler's, so that n = 1 is not draft[k=1]. x_T is not reached. For rules whose
    state is one point. References: Clark et al., 2024, DRaFT, arXiv:2309.17400.
    """

    n: int
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_last_step(traits)

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
            value += total.item()
            if problem.wrt:
                totals.add(torch.autograd.grad(total, problem.wrt, allow_unused=True))
        return BlockSum(None, totals.values, x_0, value, forward)
