"""A right answer: gradients with the method, the tolerance and the digest."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch

from gradbench.problems.gradients import Gradients, flatten

ROUNDING = 1e-12  # float64 rounding of a closed form, of a transposed chain and of a fine solve, relative to the norm
ROUNDING_32 = 1e-5  # the same for a transposed chain in float32: 2e-6 on digits, measured against float64


@dataclass(frozen=True)
class Thirds:
    """The means of three independent parts of a reference's draws, so that its noise is never multiplied by itself.

    <value - g, direction> has mean 0 for any `direction`, and <scale, direction> has the mean of <g, direction>; with
    the mean of all draws in all three places, |g + noise|^2 would stand in for |g|^2, and a multiple of it for 0.

    spread: the standard error of <value, direction>, in units of <scale, direction>, by target.
    """

    value: Gradients
    direction: Gradients
    scale: Gradients
    spread: dict[str, float]


def thirds_of(means: list[Gradients]) -> Thirds | None:
    """The thirds of a Monte Carlo reference, from the means over its equal parts; None for fewer than six."""
    if len(means) < 6:
        return None
    values, directions, scales = means[::3], means[1::3], means[2::3]
    value, direction, scale = (Gradients.stacked(part, lambda p: p.mean(0)) for part in (values, directions, scales))
    spread = {}
    for target in value:
        along = direction.flat(target)
        own = torch.stack([part.flat(target) for part in values]) @ along / (scale.flat(target) @ along)
        spread[target] = own.std().item() / len(values) ** 0.5
    return Thirds(value, direction, scale, spread)


@dataclass(frozen=True)
class Reference:
    """One of the right answers: gradients by target, the method in words, its relative tolerance, its digest.

    spread: the relative standard error of a Monte Carlo reference along itself, by target. dtype: of its computation.
    thirds: of a Monte Carlo reference, three independent parts.
    """

    grads: Gradients
    method: str
    tol: float
    spread: dict[str, float] = field(default_factory=dict)
    dtype: str = "float64"
    thirds: Thirds | None = None

    @property
    def digest(self) -> str:
        """sha256 of the gradients rounded to 9 digits of each one's largest entry, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for target, gradient in self.grads.items():
            values = flatten(gradient).numpy()
            exponent = np.floor(np.log10(np.abs(values).max())) if values.any() else 0.0
            digest.update(target.encode() + (np.round(values / 10.0 ** (exponent - 8)) + 0.0).tobytes())
        return digest.hexdigest()[:16]


def name_of(dtype: torch.dtype) -> str:
    """The dtype's name without torch's."""
    return str(dtype).removeprefix("torch.")


def rounding(dtype: torch.dtype) -> float:
    """The relative rounding of a transposed chain in that dtype."""
    return ROUNDING if dtype == torch.float64 else ROUNDING_32
