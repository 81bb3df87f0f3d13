"""DDPO: the clipped policy gradient of denoising diffusion policy optimisation, as one gradient estimate."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradbench.diffusion.batch import per_sample
from gradbench.estimators.monte_carlo.base import Block
from gradbench.estimators.monte_carlo.score_function import ScoreFunction
from gradbench.estimators.monte_carlo.stale import elsewhere
from gradbench.estimators.monte_carlo.transitions import no_density, no_window
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import State
from gradbench.samplers.policy import Windowed
from gradbench.samplers.stochastic import StochasticRule


@dataclass(frozen=True)
class DDPO(ScoreFunction):
    """With the reward r = -L and the ratio of a step rho = exp(lp - lp_old), where lp is its log-probability averaged
    over the D entries of a sample,

        loss = mean over samples and steps of max(-A rho, -A clip(rho, 1 - clip, 1 + clip)).

    A = (r - mean)/(std + 1e-6) with the statistics of the prompt, that is, of all draws of a block, which share a
    condition. `statistics=group` (Flow-GRPO) takes the mean over the draws of the same x_T and divides by 1e-4 plus the
    std of all draws. |A| <= advantage_clip. scale: `released` is the gradient of that loss; the means over D and over
    steps and the division by std make it (D N std) times smaller than the gradient of E[L], and `summed` undoes all
    three. stale: the samples come from leaves that are moved by this much, relative to their norm, in a random
    direction per block; 0 is the first update after sampling, where rho = 1 and nothing is clipped.

    ratio: `guard` (GRPO-Guard) takes log rho = mean(z (mu - mu_old)), z the noise of the step and mu its mean, and
    divides the loss of a step by its length dt, so that step k is weighted by s_k/dt_k; with scale=summed these weights
    have mean 1 over the steps that draw. window (MixGRPO): only this many steps draw noise and contribute, from step
    `at` on; with None the place is drawn per block; the others take the sampler's step without noise.

    References: Black et al., 2023, DDPO, arXiv:2305.13301; Liu et al., 2025, Flow-GRPO, arXiv:2505.05470; GRPO-Guard,
    2025, arXiv:2510.22319, equation 8, as in reimplementations; Li et al., 2025, MixGRPO, arXiv:2507.21802.
    """

    clip: float
    advantage_clip: float
    statistics: str
    scale: str
    stale: float
    ratio: str = "released"
    window: int | None = None
    at: int | None = None
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_density(traits) or no_window(self.window, self.at, traits)

    def prepared(self, block: Block) -> Block:
        if self.window is None:
            return block
        rollout, rule = block.rollout, block.rollout.rule
        assert isinstance(rule, StochasticRule)
        first = self.at
        if first is None:
            first = int(block.random.integers(0, rollout.steps - self.window + 1))
        return replace(block, rollout=replace(rollout, rule=Windowed(rule, first, self.window)))

    def omits(self, block: Block, k: int) -> bool:
        rule = block.rollout.rule
        return isinstance(rule, Windowed) and not rule.draws(k)

    def advantage(self, values: Tensor, size: int) -> Tensor:
        grouped = values.unflatten(0, (size, -1))
        centre = grouped.mean(0) if self.statistics == "group" else values.mean()
        std = values.std() + (1e-4 if self.statistics == "group" else 1e-6)
        advantage = ((grouped - centre) / std).clamp(-self.advantage_clip, self.advantage_clip).flatten()
        return advantage * std if self.scale == "summed" else advantage

    def run(self, block: Block) -> tuple[list[State], Tensor]:
        with elsewhere(block.problem.wrt, self.stale, block.random):
            return super().run(block)

    def score(self, block: Block, k: int, states: list[State], advantages: Tensor) -> Tensor:
        rollout, size = block.rollout, block.x_T[0].numel()
        share = 1.0 if self.scale == "summed" else 1 / (size * rollout.steps)
        share *= self._guard(block, k)
        if not self.stale:
            return share * super().score(block, k, states, advantages)
        rule, interval = rollout.rule, rollout.interval(k)
        assert isinstance(rule, StochasticRule) and interval.noise is not None
        with torch.no_grad():
            (mean, *_), std = rule.transition(rollout.field, states[k], interval)
        z, old = (states[k + 1][0] - mean) / std, interval.noise
        guarded = self.ratio == "guard"
        if guarded:  # z_old (mu - mu_old) / D
            ratio = torch.exp(std * (old * (old - z)).flatten(1).sum(1) / size)
        else:
            ratio = torch.exp((old.flatten(1).square().sum(1) - z.flatten(1).square().sum(1)) / (2 * size))
        # the reward's advantage is -advantages; samples that it would push further out of the clip have no gradient
        clipped = torch.where(advantages < 0, ratio > 1 + self.clip, ratio < 1 - self.clip)
        weight = share * advantages * ratio * (~clipped)
        return per_sample(weight, z) * (old if guarded else z)

    def _guard(self, block: Block, k: int) -> float:
        """s_k / dt_k, the weight of step k with ratio=guard, else 1."""
        if self.ratio != "guard":
            return 1.0
        rollout, rule = block.rollout, block.rollout.rule
        assert isinstance(rule, StochasticRule)
        silent = replace(rollout, noise=None)

        def weight(k: int) -> float:
            interval = silent.interval(k)
            return rule.std(interval) / (interval.t0 - interval.t1)

        if self.scale != "summed":
            return weight(k)
        drawn = [w for w in map(weight, range(rollout.steps)) if w]
        return weight(k) * len(drawn) / sum(drawn)
