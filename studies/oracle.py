"""The scalar problem by which published truncations are judged: eps = theta w(t) x, r = -(x_0 - 1)^2.

Linear betas from 1e-4 to 0.02 over 1,000 steps, 20 trailing steps, last alpha 1, data variance 0.3. The expectation is
also over x_T: everything is quadratic in x_T, and x_T = +-1 has the normal moments that such a function sees.
"""

import torch
from torch import nn

from gradbench import Problem
from gradbench.diffusion.denoiser import Denoiser, NetworkPrediction
from gradbench.diffusion.discrete import Discrete
from gradbench.samplers.spec import sampler_spec


class Linear(Denoiser):
    """eps = theta w(t) x, w = sigma / (0.3 alpha^2 + sigma^2): the exact prediction at theta = 1."""

    affine = True

    def __init__(self):
        betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        super().__init__(Discrete(tuple(torch.cumprod(1 - betas, 0).tolist())))
        self.theta = nn.Parameter(torch.ones((), dtype=torch.float64))

    def predict(self, x, t):
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return NetworkPrediction("eps", self.theta * (sigma / (0.3 * alpha**2 + sigma**2)) * x, x, alpha, sigma)


class Square(nn.Module):
    """(x - 1)^2, the negative reward."""

    quadratic = True

    def forward(self, x):
        return ((x - 1) ** 2).flatten(1).sum(1)

    def expectation(self, mean, variance):
        return ((mean - 1) ** 2 + variance).flatten(1).sum(1)


def oracle(eta: float, steps: int = 20, seed: int = 0) -> Problem:
    """The problem of d/d theta; one draw is the pair of both values of x_T."""
    law = Linear()
    x_T = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    spec = sampler_spec(f"ddim[eta={eta},grid=trailing]")
    return Problem(law, spec, steps, 1.0, 0.0, x_T, Square(), ("parameters",), None, (law.theta,), seed=seed)
