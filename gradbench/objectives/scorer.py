"""A reward from a small network with random weights."""

import math

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.objectives.random_features import RandomConv

CHANNELS = (3, 16, 32, 32)


class RandomScorer(nn.Module):
    """objective(x)_b = sum_kp readout_k F_kp(x_b) / sqrt(P), F the features of three random convolutions.

    The convolutions are 3x3 with stride 2, silu and 16, 32 and 32 channels, applied to 2 x - 1; P is the number of
    pixels of F; readout ~ N(0, 1/32). All weights are fixed and drawn from `seed`. The value has no meaning: this is a
    smooth nonlinear reward shaped like a learned scorer. Its scaling keeps |d objective/dx|, the norm over all pixels
    of a sample, of order one for any h and w.

    x: (b, 3, h, w), RGB in [0, 1], h and w at least 8; values outside are not clamped, and the network still applies.
    `ValueError` for anything else and for a seed that is not an integer >= 0.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(checks.seed(seed))
        pairs = zip(CHANNELS[1:], CHANNELS[:-1], strict=True)
        self.features = nn.Sequential(*(RandomConv(n, m, 3, generator, stride=2) for n, m in pairs))
        self.readout: Tensor
        drawn = torch.randn(CHANNELS[-1], generator=generator)
        self.register_buffer("readout", drawn / math.sqrt(CHANNELS[-1]))

    def forward(self, x: Tensor) -> Tensor:
        checks.images("x", x, least=8)
        features = self.features(2 * x - 1).flatten(2)
        return features.sum(2) @ self.readout / math.sqrt(features.shape[2])
