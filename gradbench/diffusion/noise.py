"""Noise by key: the same (seed, step, sample) gives the same numbers, in any order, on any machine and in any dtype.

Draws come from numpy's SFC64 keyed by (seed, step, block), where a block is 4,096 consecutive samples of the batch.
They are made in float64 and then rounded, so a float32 run and its float64 reference share their noise. A larger batch
begins with the noise of a smaller one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gradbench.checks import UsageError

BLOCK = 4096
INITIAL = -1  # the step whose noise is x_T


class Noise(Protocol):
    """The noise of each step of a chain."""

    def __call__(self, step: int) -> Tensor:
        """Standard normal draws for that step, (b, *x)."""
        ...


def draw(seed: int, step: int, shape: Sequence[int], stream: Sequence[int] = ()) -> np.ndarray:
    """Standard normal draws of `shape` = (b, *x) in float64 for a seed >= 0 and a step >= -1.

    stream: further keys; draws with different streams are independent.
    """
    blocks: list[np.ndarray] = []
    for block, first in enumerate(range(0, shape[0], BLOCK)):
        key = np.random.SeedSequence(seed, spawn_key=(step + 1, block, *stream))
        generator = np.random.Generator(np.random.SFC64(key))
        blocks.append(generator.standard_normal((min(BLOCK, shape[0] - first), *shape[1:])))
    return np.concatenate(blocks) if len(blocks) != 1 else blocks[0]


@dataclass(frozen=True)
class KeyedNoise:
    """Draws of shape (b, *x), recomputed from the key in every call; nothing is stored."""

    seed: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    stream: tuple[int, ...] = ()

    def __call__(self, step: int) -> Tensor:
        drawn = torch.from_numpy(draw(self.seed, step, self.shape, self.stream))
        return drawn.to(self.device, self.dtype, non_blocking=True)  # a GPU may still be running the previous step


@dataclass(frozen=True)
class RecordedNoise:
    """The rows of an array (n, b, *x), or a list of them: row k drives step k. `ValueError` for a step beyond them."""

    rows: Tensor | Sequence[Tensor]

    def __call__(self, step: int) -> Tensor:
        if not 0 <= step < len(self.rows):
            raise UsageError(f"noise has rows for steps 0..{len(self.rows) - 1}, got step {step}")
        return self.rows[step]
