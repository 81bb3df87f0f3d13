"""`ddim` on the leading and trailing grids is diffusers' DDIMScheduler, samples and gradients."""

import pytest
import torch
from diffusers import DDIMScheduler
from torch import nn

from gradbench import NetworkDenoiser, from_diffusers
from gradbench.diffusion.grid import make_grid
from gradbench.samplers.spec import sampler_spec


class SmallNetwork(nn.Module):
    """Smooth and nonlinear in x and in time."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(0.3 * torch.randn(6, 6, generator=generator, dtype=torch.float64))

    def forward(self, x, time, condition):
        return torch.tanh(x @ self.weight + time / 1000) + 0.1 * x


def scheduler_of(spacing, last_alpha_one=False):
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=last_alpha_one,
        steps_offset=1 if spacing == "leading" else 0,
        timestep_spacing=spacing,
    )
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    scheduler.alphas_cumprod = torch.cumprod(1 - betas, 0)
    one = torch.ones((), dtype=torch.float64)
    scheduler.final_alpha_cumprod = one if last_alpha_one else scheduler.alphas_cumprod[0]
    return scheduler


def theirs(scheduler, network, x, steps):
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t.double(), None), t, x, eta=0.0).prev_sample
    return x


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("steps", [5, 20, 50])
@pytest.mark.parametrize("last_alpha_one", [False, True])
def test_samples_and_gradients_equal_diffusers(spacing, steps, last_alpha_one):
    scheduler, network = scheduler_of(spacing, last_alpha_one), SmallNetwork()
    x_T = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    expected = theirs(scheduler, network, x_T, steps)
    denoiser = NetworkDenoiser(network, from_diffusers(scheduler))
    t_min = 0.0 if last_alpha_one else 0.001
    got = sampler_spec(f"ddim[grid={spacing}]").rollout(denoiser, steps, 1.0, t_min, x_T, 0, "keyed").sample(x_T)
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-13)
    leaves = (x_T, network.weight)
    mine, others = (torch.autograd.grad((y**2).sum(), leaves) for y in (got, expected))
    for a, b in zip(mine, others, strict=True):
        assert ((a - b).norm() / b.norm()).item() < 1e-12


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_grid_holds_the_timesteps_of_diffusers(spacing):
    scheduler = scheduler_of(spacing)
    scheduler.set_timesteps(25)
    grid = make_grid(spacing, from_diffusers(scheduler), 25, 1.0, 0.001)
    assert [round(1000 * t - 1) for t in grid[:-1]] == scheduler.timesteps.tolist()


def test_schedule_hits_the_table_at_its_indices():
    scheduler = scheduler_of("leading")
    schedule = from_diffusers(scheduler)
    for index in (0, 1, 500, 999):
        assert schedule.alpha((index + 1) / 1000) ** 2 == pytest.approx(
            scheduler.alphas_cumprod[index].item(), rel=1e-14
        )


@pytest.mark.parametrize("config", [{"clip_sample": True}, {"clip_sample": False, "thresholding": True}])
def test_a_scheduler_that_cuts_gradients_off_is_refused(config):
    with pytest.raises(ValueError, match=r"(clip_sample|thresholding)=True"):
        from_diffusers(DDIMScheduler(**config))
