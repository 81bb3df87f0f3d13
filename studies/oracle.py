"""The scalar problems by which truncations and surrogates are judged: data of variance 0.3, r = -(x_0 - 1)^2.

VP: eps = theta w(t) x, linear betas from 1e-4 to 0.02 over 1,000 steps, 20 trailing steps, last alpha 1. Rectified flow:
v = theta u(t) x, uniform times from 1 to 0. Both are exact at theta = 1. The expectation is also over x_T: what is
quadratic in x_T sees the moments of the normal distribution in x_T = +-1.
"""

import numpy as np
import torch
from torch import Tensor, nn

from gradbench import Problem
from gradbench.diffusion.denoiser import Denoiser, NetworkPrediction
from gradbench.diffusion.discrete import Discrete
from gradbench.diffusion.schedule import make_schedule
from gradbench.samplers.spec import sampler_spec

PAIR = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)


class Linear(Denoiser):
    """eps = theta w(t) x, w = sigma / (0.3 alpha^2 + sigma^2): the exact prediction at theta = 1."""

    affine = True
    rowwise = True

    def __init__(self):
        betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
        super().__init__(Discrete(tuple(torch.cumprod(1 - betas, 0).tolist())))
        self.theta = nn.Parameter(torch.ones((), dtype=torch.float64))

    def predict(self, x, t):
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        return NetworkPrediction("eps", self.theta * (sigma / (0.3 * alpha**2 + sigma**2)) * x, x, alpha, sigma)


class LinearFlow(Denoiser):
    """v = theta u(t) x, u = (t - 0.3 (1 - t)) / (0.3 (1 - t)^2 + t^2): the exact velocity at theta = 1."""

    affine = True
    rowwise = True

    def __init__(self):
        super().__init__(make_schedule("rectified"))
        self.theta = nn.Parameter(torch.ones((), dtype=torch.float64))

    def predict(self, x, t):
        u = (t - 0.3 * (1 - t)) / (0.3 * (1 - t) ** 2 + t**2)
        return NetworkPrediction("flow", self.theta * u * x, x, 1 - t, t)


class Square(nn.Module):
    """(x - 1)^2, the negative reward."""

    quadratic = True

    def forward(self, x):
        return ((x - 1) ** 2).flatten(1).sum(1)

    def expectation(self, mean, variance):
        return ((mean - 1) ** 2 + variance).flatten(1).sum(1)


def oracle(eta: float, steps: int = 20, seed: int = 0) -> Problem:
    """The problem of d/d theta; one draw is the pair of both values of x_T."""
    return _problem(Linear(), f"ddim[eta={eta},grid=trailing]", steps, seed, PAIR)


def flow_oracle(steps: int = 20, sampler: str = "flow-euler", seed: int = 0, x_T: Tensor = PAIR) -> Problem:
    """The same on rectified flow, from t = 1 to 0."""
    return _problem(LinearFlow(), sampler, steps, seed, x_T)


def normal_quantiles(count: int) -> Tensor:
    """x_T (count, 1) at the quantiles (i + 1/2)/count of the normal distribution, for what is not quadratic in x_T."""
    from scipy.stats import norm

    return torch.from_numpy(norm.ppf((np.arange(count) + 0.5) / count)[:, None])


def _problem(law: Linear | LinearFlow, sampler: str, steps: int, seed: int, x_T: Tensor) -> Problem:
    spec = sampler_spec(sampler)
    return Problem(law, spec, steps, 1.0, 0.0, x_T, Square(), ("parameters",), None, (law.theta,), seed=seed)
