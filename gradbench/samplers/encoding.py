"""From data to noise: DDIM encoding, interpolation between noises, and cycle encoding into an SDE sampler's noises.

The results are inputs of `gradbench.sample`: x_T, or x_T and the step noises.
"""

import torch
from torch import Tensor

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.denoiser import Denoiser
from gradbench.diffusion.noise import draw
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.spec import sampler_spec
from gradbench.samplers.stochastic import StochasticRule

CYCLE = 0x9E3A  # the first step key of the forward chain, distinct from those of samplers and Wiener paths


def _rollout(denoiser: Denoiser, x_0: Tensor, sampler: str, steps: int, t_max: float, t_min: float) -> Rollout:
    if not isinstance(denoiser, Denoiser):
        raise UsageError(f"denoiser must be a gradbench.Denoiser, got {type(denoiser).__name__}")
    checks.batch("x_0", x_0)
    return sampler_spec(sampler).rollout(denoiser, steps, t_max, t_min, x_0, 0, "keyed")


@torch.no_grad()
def encode(
    denoiser: Denoiser,
    x_0: Tensor,
    *,
    sampler: str = "ddim",
    steps: int = 50,
    t_max: float = 1.0,
    t_min: float = 0.001,
) -> Tensor:
    """x_T (b, *x) from x_0 (b, *x), the state at t_min, by running the sampler's rule backwards over its grid.

    With `ddim` this is DDIM inversion. Sampling from the result recovers x_0 up to the errors of both solves, which are
    of the rule's order in 1/steps. Raises `ValueError` unless the sampler is a one-step ODE rule. References: Song,
    Meng and Ermon, 2021, DDIM, arXiv:2010.02502, section 4.3 and equation 14.
    """
    spec = sampler_spec(sampler)
    if spec.traits.stochastic or not spec.traits.runge_kutta:
        usable = [name for name, entry in SAMPLERS.items() if entry.traits.runge_kutta]
        raise UsageError(f"encode needs a one-step ODE sampler, got {sampler!r}; allowed: {', '.join(usable)}")
    rollout, state = _rollout(denoiser, x_0, sampler, steps, t_max, t_min), (x_0,)
    for k in reversed(range(rollout.steps)):
        state = rollout.rule.step(rollout.field, state, rollout.interval(k).reversed)
    return state[0]


def interpolate(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Spherical interpolation of noises x, y (b, *x), per sample: (sin((1 - w) theta) x + sin(w theta) y) / sin theta.

    theta is the angle between x and y; the weight w = 0 gives x, the first, and w = 1 gives y. Raises `ValueError` if
    the shapes differ, if the weight is not finite, or if two noises are opposite, where the great circle is not unique.
    References: Shoemake, 1985, SIGGRAPH 19; Song, Meng and Ermon, 2021, arXiv:2010.02502, appendix D.5.
    """
    checks.batch("first", first)
    checks.batch("second", second)
    checks.shape("second", second.shape, tuple(first.shape))
    weight = checks.finite("weight", weight)
    a, b = first.flatten(1), second.flatten(1)
    cosine = torch.cosine_similarity(a, b).clamp(-1, 1)
    if (cosine <= -1 + 8 * torch.finfo(cosine.dtype).eps).any():
        raise UsageError("first and second must not be opposite: the path between them on the sphere is not unique")
    theta = torch.arccos(cosine)[:, None]
    sine = torch.sin(theta)
    near = sine < 1e-6  # nearly parallel: linear interpolation, the limit of the spherical one
    safe = torch.where(near, torch.ones_like(sine), sine)
    one = torch.where(near, torch.full_like(sine, 1 - weight), torch.sin((1 - weight) * theta) / safe)
    two = torch.where(near, torch.full_like(sine, weight), torch.sin(weight * theta) / safe)
    return (one * a + two * b).reshape(first.shape)


@torch.no_grad()
def cycle_encode(
    denoiser: Denoiser,
    x_0: Tensor,
    *,
    sampler: str = "sde-dpm++1",
    steps: int = 50,
    seed: int = 0,
    t_max: float = 1.0,
    t_min: float = 0.001,
) -> tuple[Tensor, Tensor]:
    """x_T (b, *x) and the step noises (steps, b, *x) from which a stochastic sampler reproduces x_0 (b, *x) exactly.

    A path of the forward process is drawn as one chain, from x_0, the state at t_min, up the grid,

        x_k = (alpha_k/alpha_{k+1}) x_{k+1} + (sigma_k^2 - (alpha_k/alpha_{k+1})^2 sigma_{k+1}^2)^(1/2) xi_k,

    and the sampler's transitions are solved for the noises, z_k = (x_{k+1} - mean_k)/std_k. Because the path is drawn
    jointly, the noises tend to independent standard normals as the steps in log-SNR shrink (a last step that is long in
    time is large in log-SNR). Drawing each x_k from its own marginal, as published code does, gives noises whose
    variance grows with the number of steps. Raises `ValueError` if a step has no transition density. References: Wu and
    De la Torre, 2023, CycleDiffusion, arXiv:2210.05559.
    """
    rollout = _rollout(denoiser, x_0, sampler, steps, t_max, t_min)
    rule, schedule, grid = rollout.rule, denoiser.schedule, rollout.grid
    if not isinstance(rule, StochasticRule):
        raise UsageError(f"cycle_encode needs a sampler whose every step draws noise, got {sampler!r}")
    seed = checks.seed(seed)
    path = [x_0]
    for k in reversed(range(rollout.steps)):
        ratio, std = schedule.noising(grid[k + 1], grid[k])
        xi = torch.from_numpy(draw(seed, CYCLE + k, tuple(x_0.shape))).to(x_0.device, x_0.dtype)
        path.append(ratio * path[-1] + std * xi)
    path.reverse()
    state, noises = rollout.start(path[0]), list[Tensor]()
    for k in range(rollout.steps):
        (mean, *history), std = rule.transition(rollout.field, state, rollout.interval(k))
        if not std:
            raise UsageError(
                f"step {k} of {sampler!r} draws no noise, and cannot be encoded: raise t_min above {t_min}"
            )
        noises.append((path[k + 1] - mean) / std)
        state = (path[k + 1], *history)
    return path[0], torch.stack(noises)
