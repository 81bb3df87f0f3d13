"""Mean and covariance of x_0 over the step noises, for chains that are affine in the state.

If the denoiser is affine in x (a Gaussian, a point), so is every step: s' = s J + noise N + c, in rows. Then x_0 given
x_T is Gaussian, and its moments follow step by step,

    mean' = mean J + c,        P' = J^T P J + N^T N,

with J, N and c read from the step itself: its values at zero, at the basis of the state and at the basis of the noise,
in one batch. The rule need not be known, so every sampler works, and all of it is on the tape.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from gradbench.samplers.base import Interval, State
from gradbench.samplers.rollout import Rollout


def moments(rollout: Rollout, x_T: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (b, d) and covariance (d, d) of x_0 given x_T (b, d), with every leaf on the tape."""
    size = x_T.shape[1]
    silent = replace(rollout, noise=None)
    mean, covariance = _link(lambda s, noise: silent.start(s[0]), (x_T,), x_T.new_zeros(size, size), size, False)
    for k in range(rollout.steps):
        interval = silent.interval(k)

        def step(state: State, noise: Tensor | None, interval: Interval = interval) -> State:
            return silent.rule.step(silent.field, state, replace(interval, noise=noise))

        mean, covariance = _link(step, mean, covariance, size, rollout.noise is not None)
    mean, covariance = _link(lambda s, noise: (silent.finish(s),), mean, covariance, size, False)
    return mean[0], covariance


def _link(
    link: Callable[[State, Tensor | None], State], mean: State, covariance: Tensor, size: int, noisy: bool
) -> tuple[State, Tensor]:
    """The moments after an affine link: state components (b, size) each, covariance over all of them together."""
    batch, width = len(mean[0]), size * len(mean)
    basis, noises = torch.eye(width).to(covariance), size if noisy else 0
    zero = basis.new_zeros(1, width)
    rows = torch.cat([torch.cat(mean, 1), zero, basis, zero.expand(noises, width)])
    noise = torch.cat([basis.new_zeros(batch + 1 + width, size), basis[:noises, :size]]) if noisy else None
    image = torch.cat(link(tuple(rows.split(size, 1)), noise), 1)
    response = image[batch + 1 :] - image[batch : batch + 1]
    along, across = response[:width], response[width:]
    return tuple(image[:batch].split(size, 1)), along.T @ covariance @ along + across.T @ across
