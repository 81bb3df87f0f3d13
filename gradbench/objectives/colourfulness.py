"""How colourful an image is."""

import torch
from torch import Tensor, nn

from gradbench import checks

GUARD = 0.01  # grey levels of 255


def guarded_root(square: Tensor) -> Tensor:
    """sqrt(square + GUARD^2) - GUARD: zero at zero, with a finite slope there, and never off by more than GUARD."""
    return torch.sqrt(square + GUARD**2) - GUARD


class Colourfulness(nn.Module):
    """objective(x)_b = sqrt(s_rg^2 + s_yb^2) + 0.3 sqrt(m_rg^2 + m_yb^2), on the paper's scale [0, 255].

    x: (b, 3, h, w), RGB in [0, 1], multiplied by 255. m and s^2 are the mean and the variance (over the number of
    pixels) of the opponent colours rg = R - G and yb = (R + G)/2 - B. The paper calls 15 slightly, 33 moderately, 59
    highly and 109 extremely colourful.

    Each root is sqrt(. + e^2) - e with e = 0.01, so that a grey image has the value 0 and the gradient 0; elsewhere the
    value is too small by at most 1.3 e. Values outside [0, 1] are not clamped: the formula still applies. `ValueError`
    for anything but images of three channels.

    References: Hasler and Suesstrunk, 2003, Measuring colourfulness in natural images, Proc. SPIE 5007.
    """

    def forward(self, x: Tensor) -> Tensor:
        checks.images("x", x)
        red, green, blue = (255 * x).flatten(2).unbind(1)
        opponent = torch.stack([red - green, (red + green) / 2 - blue], 1)
        spread = opponent.var(2, correction=0).sum(1)
        offset = opponent.mean(2).square().sum(1)
        return guarded_root(spread) + 0.3 * guarded_root(offset)
