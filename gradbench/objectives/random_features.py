"""Convolutions with fixed random weights: untrained features that need no download."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SILU_POWER = 0.3558  # E[silu(z)^2] for normal z


class RandomConv(nn.Module):
    """x (b, c, h, w) -> silu(weight * x), (b, channels, ceil(h/stride), ceil(w/stride)), a zero-padded convolution.

    weight ~ N(0, 1/(c size^2 E[silu^2])) from `generator`, so that inputs of unit power give features of about unit
    power. The weight is a fixed buffer; the features are smooth in x.
    """

    def __init__(self, channels: int, inputs: int, size: int, generator: torch.Generator, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        drawn = torch.randn((channels, inputs, size, size), generator=generator)
        self.weight: Tensor
        self.register_buffer("weight", drawn / math.sqrt(inputs * size**2 * SILU_POWER))

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(F.conv2d(x, self.weight, stride=self.stride, padding=self.weight.shape[-1] // 2))
