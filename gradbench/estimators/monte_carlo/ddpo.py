"""DDPO: the clipped policy gradient of denoising diffusion policy optimisation, as one gradient estimate."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gradbench.diffusion.batch import per_sample
from gradbench.estimators.monte_carlo.base import Block
from gradbench.estimators.monte_carlo.score_function import ScoreFunction
from gradbench.samplers.base import State
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

    References: Black et al., 2023, DDPO, arXiv:2305.13301; Liu et al., 2025, Flow-GRPO, arXiv:2505.05470.
    """

    clip: float
    advantage_clip: float
    statistics: str
    scale: str
    stale: float
    draws: int | None = None

    def advantage(self, values: Tensor, size: int) -> Tensor:
        grouped = values.unflatten(0, (size, -1))
        centre = grouped.mean(0) if self.statistics == "group" else values.mean()
        std = values.std() + (1e-4 if self.statistics == "group" else 1e-6)
        advantage = ((grouped - centre) / std).clamp(-self.advantage_clip, self.advantage_clip).flatten()
        return advantage * std if self.scale == "summed" else advantage

    def run(self, block: Block) -> tuple[list[State], Tensor]:
        if not self.stale:
            return super().run(block)
        leaves = block.problem.wrt
        kept = [leaf.detach().clone() for leaf in leaves]
        try:
            for leaf in leaves:
                step = torch.from_numpy(block.random.standard_normal(tuple(leaf.shape))).to(leaf)
                leaf.add_(step, alpha=self.stale * (leaf.norm().item() / leaf.numel() ** 0.5))
            return super().run(block)
        finally:
            for leaf, value in zip(leaves, kept, strict=True):
                leaf.copy_(value)

    def score(self, block: Block, k: int, states: list[State], advantages: Tensor) -> Tensor:
        rollout, size = block.rollout, block.x_T[0].numel()
        share = 1.0 if self.scale == "summed" else 1 / (size * rollout.steps)
        if not self.stale:
            return share * super().score(block, k, states, advantages)
        rule, interval = rollout.rule, rollout.interval(k)
        assert isinstance(rule, StochasticRule) and interval.noise is not None
        with torch.no_grad():
            (mean, *_), std = rule.transition(rollout.field, states[k], interval)
        z, old = (states[k + 1][0] - mean) / std, interval.noise
        ratio = torch.exp((old.flatten(1).square().sum(1) - z.flatten(1).square().sum(1)) / (2 * size))
        # the reward's advantage is -advantages; samples that it would push further out of the clip have no gradient
        clipped = torch.where(advantages < 0, ratio > 1 + self.clip, ratio < 1 - self.clip)
        weight = share * advantages * ratio * (~clipped)
        return per_sample(weight, z) * z
