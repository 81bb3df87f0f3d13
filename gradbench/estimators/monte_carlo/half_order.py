"""The half-order estimator: score functions, with backpropagation through a short sub-chain of each draw."""

from dataclasses import dataclass

import numpy as np

from gradbench.estimators.monte_carlo.base import Block
from gradbench.estimators.monte_carlo.score_function import Reinforce
from gradbench.estimators.monte_carlo.transitions import no_sub_chain
from gradbench.problems.traits import ProblemTraits


@dataclass(frozen=True)
class RecursiveLikelihoodRatio(Reinforce):
    """RLR: the last step uses the gradient of L, a sub-chain of h steps uses the score of the step after it, and the
    other steps use their own scores,

        (d phi_{N-1}/d theta)^T dL/dx_0 + A (D_theta phi_{j-h..j})^T grad log f(z_j) + sum of A grad log f(z_i),

    where the position j is uniform over all that fit. Unbiased for every h.

    References: Ren et al., 2025, Half-order fine-tuning for diffusion model, arXiv:2502.00639.
    """

    baseline: str | None = "loo"
    draws: int | None = None
    h: int = 3

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_sub_chain(self.h, traits)

    def pathwise(self, block: Block) -> np.ndarray:
        steps, samples = block.rollout.steps, len(block.x_T)
        place = block.random.integers(self.h, steps - 1, samples)
        k = np.arange(steps)[:, None]
        return ((k >= place - self.h) & (k < place)) | (k == steps - 1)
