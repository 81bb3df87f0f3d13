"""The rule by which pairs of pictures are judged: which leans more to the right."""

import torch
from torch import Tensor


def slant(x: Tensor) -> Tensor:
    """(b): sum w (i - i_0)(j_0 - j) / sum w (j - j_0)^2 over the pixels of pictures (b, 1, n, n), column i and row j.

    w = (x + 1) / 2 clamped to [0, 1] is the ink, (i_0, j_0) its mean place: the lean to the right, 1 for 45 degrees.
    """
    ink = ((x[:, 0] + 1) / 2).clamp(0, 1)
    rows, columns = (torch.arange(n, dtype=x.dtype, device=x.device) for n in ink.shape[1:])
    whole = ink.sum((1, 2)).clamp(min=1e-6)
    across = columns - ((ink * columns).sum((1, 2)) / whole)[:, None]
    down = rows - ((ink * rows[:, None]).sum((1, 2)) / whole)[:, None]
    spread = (ink.sum(2) * down.square()).sum(1).clamp(min=1e-6)
    return -(ink * down[:, :, None] * across[:, None, :]).sum((1, 2)) / spread
