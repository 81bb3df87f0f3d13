"""Guidance of every step by the gradient through a short solve of the rest of the chain (SAG).

    python examples/symplectic_guidance.py    # a tiny pipeline with random weights, seconds on a CPU

At the state x_k the remaining times are crossed in `short` DDIM steps, whose exact discrete gradient moves x_{k+1}:

    x_{k+1} <- x_{k+1} + c grad / rms(grad).

It is exact for the short chain and an approximation for the long one. The paper scales c with the guidance,
c = 0.2 w rms(eps_c - eps_u). References: Yan et al., 2023, SAG, arXiv:2312.12030, and its released code.
"""

from collections.abc import Sequence

import torch

import gradbench
from common import options, pipeline


def main(argv: Sequence[str] | None = None) -> list[float]:
    """Samples without and with guidance, and returns the two rewards."""
    parser = options(__doc__)
    parser.add_argument("--prompt", default="a photo of a cat")
    parser.add_argument("--short", type=int, default=2, help="steps of the short solve")
    parser.add_argument("--strength", type=float, default=0.05, help="c")
    given = parser.parse_args(argv)
    parts = gradbench.from_pipeline(pipeline(given), given.prompt, guidance=given.guidance)
    reward, grid, x_T = parts.objective(given.reward), parts.grid(given.steps), parts.noise(1)

    with torch.no_grad():
        plain = gradbench.sample(parts.denoiser, x_T, sampler=given.sampler, grid=grid)
    x = x_T
    for k in range(given.steps):
        left = given.steps - k
        short = min(given.short, left)
        rest = [grid[k + left * i // short] for i in range(short)]
        here = x.clone().requires_grad_()
        x_0 = gradbench.sample(parts.denoiser, here, grid=[*rest, grid[-1]], gradient=given.gradient)
        (direction,) = torch.autograd.grad(reward(x_0).mean(), here)
        with torch.no_grad():
            x = gradbench.sample(parts.denoiser, x, sampler=given.sampler, grid=grid[k : k + 2])
            x += given.strength * direction / direction.square().mean().sqrt()
    rewards = [reward(one).mean().item() for one in (plain, x)]
    print(f"{given.reward}: {rewards[0]:.4f} without guidance, {rewards[1]:.4f} with it")
    return rewards


if __name__ == "__main__":
    main()
