"""Samplers against diffusers' schedulers, which cast the state to float32 in every step: samples and gradients.

The scheduler's own loop is run with its `step`; our chain has its timesteps as grid. DDIM is in test_diffusers.
"""

import pytest
import torch
from diffusers import (
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from torch import nn

from gradbench import NetworkDenoiser, Rollout, from_diffusers
from gradbench.diffusion.noise import RecordedNoise
from gradbench.diffusion.schedule import make_schedule
from gradbench.diffusion.sde_chart import make_chart
from gradbench.samplers.spec import sampler_spec

TABLE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
FLOAT32 = 2e-5  # what a cast to float32 in each of 20 to 50 steps leaves
STEPS = 20


class SmallNetwork(nn.Module):
    """Smooth and nonlinear in x and in time."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(0.3 * torch.randn(6, 6, generator=generator, dtype=torch.float64))

    def forward(self, x, time, condition):
        return torch.tanh(x @ self.weight + time / 1000) + 0.1 * x


def normals(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def compare(network, x_T, got, expected, tolerance):
    grads = [torch.autograd.grad((y**2).sum(), (x_T, network.weight)) for y in (got, expected)]
    for a, b in [(got, expected), *zip(*grads, strict=True)]:
        assert ((a - b).norm() / b.norm()).item() < tolerance


def chain(sampler, denoiser, grid, noise=None):
    spec = sampler_spec(sampler)
    recorded = RecordedNoise(noise) if noise is not None else None
    return Rollout(denoiser, make_chart(spec.chart, denoiser.schedule), spec.rule, grid, recorded)


def grid_of(scheduler):
    """Their timesteps, and the first index of their table as the end."""
    return [(t + 1) / 1000 for t in scheduler.timesteps.tolist()] + [1 / 1000]


@pytest.mark.parametrize(
    ("algorithm", "order", "sampler"),
    [
        ("dpmsolver++", 2, "dpm++2m"),
        ("dpmsolver++", 1, "ddim"),
        ("sde-dpmsolver++", 1, "sde-dpm++1"),
        ("sde-dpmsolver++", 2, "sde-dpm++2m"),
        ("sde-dpmsolver", 1, "sde-dpm1"),
    ],
)
def test_dpm_solver_multistep(algorithm, order, sampler):
    scheduler = DPMSolverMultistepScheduler(
        **TABLE,
        algorithm_type=algorithm,
        solver_order=order,
        final_sigmas_type="sigma_min",
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(STEPS)
    network, x_T = SmallNetwork(), normals(3, 6).requires_grad_()
    noise = normals(STEPS, 3, 6, seed=2) if "sde" in algorithm else None
    x = x_T
    for k, t in enumerate(scheduler.timesteps):
        given = {} if noise is None else {"variance_noise": noise[k]}
        x = scheduler.step(network(x, t.double(), None), t, x, **given).prev_sample
    denoiser = NetworkDenoiser(network, from_diffusers(scheduler))
    got = chain(sampler, denoiser, grid_of(scheduler), noise).sample(x_T)
    compare(network, x_T, got, x, FLOAT32)


def test_euler_discrete_is_ddim_in_x_over_alpha():
    scheduler = EulerDiscreteScheduler(**TABLE, final_sigmas_type="sigma_min", timestep_spacing="trailing")
    scheduler.set_timesteps(STEPS)
    network, x_T = SmallNetwork(), normals(3, 6).requires_grad_()
    schedule = from_diffusers(scheduler)
    y = x_T / schedule.alpha(1.0)
    for t in scheduler.timesteps:
        y = scheduler.step(network(scheduler.scale_model_input(y, t), t.double(), None), t, y).prev_sample
    denoiser = NetworkDenoiser(network, schedule)
    got = chain("ddim", denoiser, grid_of(scheduler)).sample(x_T)
    compare(network, x_T, got, y * schedule.alpha(0.001), FLOAT32)


@pytest.mark.parametrize(("theirs", "ours"), [("fixed_small", "small"), ("fixed_large", "large")])
@pytest.mark.parametrize("steps", [20, 50])
def test_ddpm(theirs, ours, steps, monkeypatch):
    from diffusers.schedulers import scheduling_ddpm

    scheduler = DDPMScheduler(**TABLE, variance_type=theirs, clip_sample=False, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    network, x_T, noise = SmallNetwork(), normals(3, 6).requires_grad_(), normals(steps, 3, 6, seed=2)
    waiting = list(noise)
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *shape, **kwargs: waiting.pop(0))
    x = x_T
    for t in scheduler.timesteps[:-1]:  # their last step goes to alpha = 1
        x = scheduler.step(network(x, t.double(), None), t, x).prev_sample
    denoiser = NetworkDenoiser(network, from_diffusers(scheduler))
    grid = [(t + 1) / 1000 for t in scheduler.timesteps.tolist()]
    got = chain(f"ddpm[variance={ours}]", denoiser, grid, noise).sample(x_T)
    compare(network, x_T, got, x, FLOAT32)


def test_flow_match_euler():
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(STEPS)
    network, x_T = SmallNetwork(), normals(3, 6).requires_grad_()
    x = x_T
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t.double(), None), t, x).prev_sample
    denoiser = NetworkDenoiser(network, make_schedule("rectified"), kind="flow")
    got = chain("flow-euler", denoiser, scheduler.sigmas.double().tolist()).sample(x_T)
    compare(network, x_T, got, x, FLOAT32)
