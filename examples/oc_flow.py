"""Optimal control of a deterministic chain: a small velocity is added in every step (OC-Flow).

    python examples/oc_flow.py            # a tiny pipeline with random weights, seconds on a CPU

The controls u_k climb the reward, and are damped: u <- beta u + eta g, where g_k = h_k dr/dx_{k+1} comes from one
backward sweep. A fixed point is optimal for the reward less ((1 - beta)/(2 eta)) sum |u_k|^2; here g is normalised.
References: Wang et al., 2025, OC-Flow, arXiv:2410.18070.
"""

from collections.abc import Sequence

import torch

import gradbench
from common import options, pipeline


def main(argv: Sequence[str] | None = None) -> list[float]:
    """Optimises and returns the reward before each update."""
    parser = options(__doc__)
    parser.add_argument("--prompt", default="a photo of a cat")
    parser.add_argument("--eta", type=float, default=2.0, help="length of an update along the gradient's direction")
    parser.add_argument("--beta", type=float, default=0.995, help="what is left of the controls")
    given = parser.parse_args(argv)
    parts = gradbench.from_pipeline(pipeline(given), given.prompt, guidance=given.guidance)
    reward, grid = parts.objective(given.reward), parts.grid(given.steps)

    x_T, rewards = parts.noise(1), []
    u = torch.zeros(given.steps, *x_T.shape, device=x_T.device, requires_grad=True)
    for k in range(given.updates):
        x_0 = gradbench.sample(
            parts.denoiser, x_T, controls=u, sampler=given.sampler, grid=grid, gradient=given.gradient
        )
        value = reward(x_0).mean()
        (direction,) = torch.autograd.grad(value, u)
        with torch.no_grad():
            u.mul_(given.beta).add_(direction / direction.norm(), alpha=given.eta)
        rewards.append(value.item())
        print(f"update {k}: {given.reward} {rewards[-1]:.4f}")
    return rewards


if __name__ == "__main__":
    main()
