"""Fixed targets drawn from a seed (a smooth image, a texture, a latent), and the objectives that aim at them."""

import math

import torch
from torch import Tensor

from gradbench import checks
from gradbench.objectives.quadratic import Quadratic

Shape = tuple[int, int, int]
WAVES = 8


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(checks.seed(seed))


def smooth_image(shape: Shape, seed: int) -> Tensor:
    """(c, h, w) in [0, 1]: one colour fades into another from left to right, with a Gaussian blob of a third colour."""
    c, h, w = shape
    generator = _generator(seed)
    left, right, middle = torch.rand((3, c, 1, 1), generator=generator)
    y0, x0 = 0.25 + 0.5 * torch.rand(2, generator=generator)
    y, x = torch.linspace(0, 1, h)[:, None], torch.linspace(0, 1, w)
    blob = torch.exp(-((y - y0) ** 2 + (x - x0) ** 2) / (2 * 0.2**2))
    return (1 - blob) * (left + (right - left) * x) + blob * middle


def texture(shape: Shape, seed: int) -> Tensor:
    """(c, h, w) in (0, 1): the logistic function of eight plane waves of 4 to 16 pixels, with weights per channel."""
    c, h, w = shape
    generator = _generator(seed)
    direction, phase = 2 * math.pi * torch.rand((2, WAVES, 1, 1), generator=generator)
    frequency = 2 * math.pi / (4 * 4 ** torch.rand((WAVES, 1, 1), generator=generator))
    amplitude = torch.randn((c, WAVES), generator=generator)
    y, x = torch.arange(h)[:, None], torch.arange(w)
    waves = torch.cos(frequency * (direction.cos() * x + direction.sin() * y) + phase)
    return torch.sigmoid(torch.tensordot(amplitude, waves, 1))


def _distance(target: Tensor, shape: Shape) -> Quadratic:
    checks.shape("target", target.shape, shape)
    return Quadratic(target, torch.ones_like(target))


def target_image(shape: Shape, seed: int, target: Tensor | None = None) -> Quadratic:
    """Half the squared distance to the image `target` (c, h, w), or to `smooth_image`."""
    return _distance(smooth_image(shape, seed) if target is None else target, shape)


def target_latent(shape: Shape, seed: int, target: Tensor | None = None) -> Quadratic:
    """Half the squared distance to the latent `target` (c, h, w), or to standard normal numbers from the seed."""
    return _distance(torch.randn(shape, generator=_generator(seed)) if target is None else target, shape)
