"""Data to noise and back."""

import math

import pytest
import torch

import gradbench
from gradbench.problems.gradients import relative_error


@pytest.fixture
def law():
    return gradbench.case("gaussian", dim=4, batch=6).problem(steps=2).denoiser.requires_grad_(False)


def data(shape=(6, 4)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def returned(law, sampler, steps):
    x_0 = data()
    x_T = gradbench.encode(law, x_0, sampler=sampler, steps=steps)
    return relative_error(gradbench.sample(law, x_T, sampler=sampler, steps=steps), x_0)


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("heun[chart=angle]", 2)])
def test_encoding_and_sampling_return_to_the_data_at_the_rules_order(law, sampler, order):
    grid = f"{sampler[:-1]},grid=angle]" if "[" in sampler else f"{sampler}[grid=angle]"
    coarse, fine = returned(law, grid, 160), returned(law, grid, 320)
    assert math.log2(coarse / fine) >= order - 0.2


def test_encoding_inverts_the_exact_flow():
    problem = gradbench.case("gaussian", dim=4, batch=6).problem(steps=2)
    x_0 = problem.flow(problem, problem.x_T).detach()
    law = problem.denoiser.requires_grad_(False)
    x_T = gradbench.encode(law, x_0, sampler="rk4[grid=uniform-log-snr]", steps=400)
    assert relative_error(x_T, problem.x_T) < 1e-6


@pytest.mark.parametrize("sampler", ["ddpm", "belm"])
def test_encoding_takes_one_step_ode_samplers_only(law, sampler):
    with pytest.raises(ValueError, match="one-step ODE sampler"):
        gradbench.encode(law, data(), sampler=sampler)


def test_interpolation_keeps_the_norm_between_equal_norms():
    a, b = (torch.nn.functional.normalize(data() * sign + shift) for sign, shift in ((1, 0.0), (-1, 0.5)))
    middle = gradbench.interpolate(a, b, 0.3)
    assert torch.allclose(middle.norm(dim=1), torch.ones(6, dtype=torch.float64), atol=1e-12)


def test_interpolation_ends_at_its_ends():
    a, b = data(), data() + 1
    assert torch.allclose(gradbench.interpolate(a, b, 0.0), a) and torch.allclose(gradbench.interpolate(a, b, 1.0), b)


def test_interpolation_of_a_noise_with_itself_is_that_noise():
    a = data()
    assert torch.allclose(gradbench.interpolate(a, a, 0.4), a)


@pytest.mark.parametrize(
    "sampler", ["ddpm", "sde-dpm1", "sde-dpm++1", "sde-dpm++2m", "euler-maruyama", "ddim[eta=0.5]"]
)
def test_a_cycle_returns_to_the_data_exactly(law, sampler):
    x_0 = data()
    x_T, noise = gradbench.cycle_encode(law, x_0, sampler=sampler, steps=12)
    assert relative_error(gradbench.sample(law, x_T, sampler=sampler, steps=12, noise=noise), x_0) < 1e-12


def test_noises_of_a_joint_chain_are_nearly_standard_normal_and_independent():
    law = gradbench.case("gaussian", dim=2).problem(steps=2).denoiser.requires_grad_(False)
    alpha, sigma = law.schedule.alpha(0.001), law.schedule.sigma(0.001)
    spread = (alpha**2 * (2 * law.log_std).exp() + sigma**2).sqrt()
    x_0 = alpha * law.condition + (spread * data((4000, 2))) @ law.rotation.T
    _, noise = gradbench.cycle_encode(law, x_0, sampler="sde-dpm++1[grid=uniform-log-snr]", steps=320)
    variance = noise.flatten(1).var(1)
    lag = (noise[1:] * noise[:-1]).flatten(1).mean(1)
    assert variance.min() > 0.9 and variance.max() < 1.1
    assert lag.mean().abs() < 0.02


def test_a_deterministic_sampler_has_no_cycle(law):
    with pytest.raises(ValueError, match="every step draws noise"):
        gradbench.cycle_encode(law, data(), sampler="ddim")


def test_a_step_without_noise_has_no_cycle(law):
    with pytest.raises(ValueError, match="draws no noise"):
        gradbench.cycle_encode(law, data(), sampler="ddpm", t_min=0.0)
