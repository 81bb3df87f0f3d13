"""Optimisation of every noise of a stochastic chain: direct noise optimisation (DNO).

    python examples/all_noises.py         # a tiny pipeline with random weights, seconds on a CPU
    python examples/all_noises.py --weights PATH_OR_HUB_ID --device cuda --steps 50 --lr 0.01 --updates 100

x_T and all z_k climb the reward by AdamW; a penalty keeps them normal, as in the paper: the means m of blocks of n
numbers, and of products of neighbours, have probabilities that fall off like exp(-n m^2 / 2), and what is likelier than
1/2 costs nothing. References: Tang et al., 2024, DNO, arXiv:2405.18881, and its released code.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

import gradbench
from common import options, pipeline


def unlikely(noises: Tensor, block: int = 64) -> Tensor:
    """The penalty of a noise vector: minus the log-probability bounds of its block means, above log 2 each."""
    z = noises.flatten()[: noises.numel() // block * block].reshape(-1, block)
    means, pairs = z.mean(1), (z[:, 1:] * z[:, :-1]).mean(1)
    bounds = [math.log(2) - block * m.square() / 2 for m in (means, pairs)]
    return -sum(bound.clamp(max=-math.log(2)).mean() for bound in bounds)


def main(argv: Sequence[str] | None = None) -> list[float]:
    """Optimises and returns the reward before each update."""
    parser = options(__doc__)
    parser.add_argument("--prompt", default="a photo of a cat")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--gamma", type=float, default=0.01, help="weight of the penalty")
    given = parser.parse_args(argv)
    parts = gradbench.from_pipeline(pipeline(given), given.prompt, guidance=given.guidance)
    reward, grid = parts.objective(given.reward), parts.grid(given.steps)

    x_T = parts.noise(1).requires_grad_()
    z = torch.stack([parts.noise(1, seed=1 + k) for k in range(given.steps)]).requires_grad_()
    optimizer, rewards = torch.optim.AdamW([x_T, z], lr=given.lr), []
    for k in range(given.updates):
        x_0 = gradbench.sample(parts.denoiser, x_T, noise=z, sampler="ddim[eta=1]", grid=grid, gradient=given.gradient)
        value = reward(x_0).mean()
        (given.gamma * unlikely(torch.cat([x_T[None], z])) - value).backward()
        torch.nn.utils.clip_grad_norm_([x_T, z], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        rewards.append(value.item())
        print(f"update {k}: {given.reward} {rewards[-1]:.4f}")
    return rewards


if __name__ == "__main__":
    main()
