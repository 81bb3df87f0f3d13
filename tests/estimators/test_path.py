"""Stochastic chains against the exact reverse SDE on the same Wiener path."""

import math

import numpy as np
import pytest
import torch

import gradbench
from gradbench.diffusion.grid import uniform_log_snr
from gradbench.diffusion.schedule import make_schedule
from gradbench.diffusion.sde_chart import SDE_CHARTS
from gradbench.diffusion.wiener import cell_normals, path, step_normals
from gradbench.problems.gradients import flatten, relative_error

SAMPLERS = ("ddpm", "sde-dpm1", "sde-dpm++1", "euler-maruyama")
TARGETS = ("x_T", "condition", "parameters")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_chain_converges_to_the_exact_gradient_on_its_path(sampler):
    case, errors = gradbench.case("gaussian", dim=4), []
    for steps in (128, 1024):
        problem = case.problem(sampler=f"{sampler}[grid=uniform-log-snr]", steps=steps)
        found, exact = gradbench.estimator("checkpoint")(problem).grads, problem.flow_gradient()
        errors.append([relative_error(found[t], exact[t]) for t in TARGETS])
    for target, coarse, fine in zip(TARGETS, *errors, strict=True):
        assert math.log(coarse / fine) / math.log(8) == pytest.approx(1, abs=0.4), (target, coarse, fine)


def test_finer_cells_change_the_exact_gradient_little(gaussian):
    problem = gaussian.problem(sampler="sde-dpm++1", steps=16)
    fine, coarse = problem.path_gradient(), problem.path_gradient(levels=11)
    assert all(0 < relative_error(coarse[t], fine[t]) < 2e-3 for t in TARGETS)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_chain_converges_on_a_grid_that_splits_cells_too(sampler):
    case, errors = gradbench.case("gaussian", dim=4), []
    for steps in (128, 1024):
        problem = case.problem(sampler=f"{sampler}[grid=uniform-t]", steps=steps)
        found, exact = gradbench.estimator("checkpoint")(problem).grads, problem.flow_gradient()
        errors.append(relative_error(found["parameters"], exact["parameters"]))
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize("chart", SDE_CHARTS)
def test_a_steps_noise_is_the_sum_of_its_halves(chart):
    frame = SDE_CHARTS[chart](make_schedule("vp-linear"))
    grids = [uniform_log_snr(frame.schedule, n, 1.0, 0.001) for n in (8, 16)]
    coarse, fine = (step_normals(frame, grid, 0, (2, 3)) for grid in grids)
    for k in range(8):
        first, second = (measure(frame, grids[1], 2 * k + j) for j in (0, 1))
        expected = (math.sqrt(first) * fine[2 * k] + math.sqrt(second) * fine[2 * k + 1]) / math.sqrt(first + second)
        assert np.allclose(coarse[k], expected, rtol=1e-8, atol=1e-9)


def measure(chart, grid, k):
    """The measure that `step_normals` gives step k: the sum over its cells."""
    times = [t for t in path(chart.schedule, grid, 0, (1, 1))[0] if grid[k + 1] <= t <= grid[k]]
    return sum(chart.variance(a, b) for a, b in zip(times, times[1:], strict=False))


@pytest.mark.parametrize("grid", [(1.0, 0.9, 0.001), tuple(np.linspace(1.0, 0.001, 3000))])
def test_parts_of_cells_are_standard_normal_and_independent(grid):
    schedule = make_schedule("scaled-linear")
    times, parts = path(schedule, grid, 0, (20, 2))
    assert len(times) == len(parts) + 1 and set(grid) <= set(times)
    flat = parts.reshape(len(parts), -1)
    assert abs(flat.var() - 1) < 5 * math.sqrt(2 / flat.size)
    assert abs((flat[1:] * flat[:-1]).mean()) < 5 / math.sqrt(flat.size)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_noise_of_a_step_is_standard_normal(sampler):
    problem = gradbench.case("gaussian", dim=3, batch=2000).problem(sampler=sampler, steps=10)
    rows = torch.stack([problem.rollout.noise(k) for k in range(10)]).flatten(1)
    assert ((rows.mean(1)).abs() < 5 / rows.shape[1] ** 0.5).all()
    assert ((rows.var(1) - 1).abs() < 5 * (2 / rows.shape[1]) ** 0.5).all()


def test_cells_of_a_coarser_level_are_normal_too():
    assert abs(cell_normals(0, (50, 2), levels=6).var() - 1) < 0.1


def test_the_exact_solution_has_the_law_of_the_reverse_sde():
    problem = gradbench.case("gaussian", dim=2, batch=1).problem(sampler="ddpm", steps=4)
    law, many = problem.denoiser, problem.x_T.expand(3000, 2)
    times = uniform_log_snr(law.schedule, 128, 1.0, 0.001)
    x_0 = law.on_path(
        many, times, torch.randn(128, 3000, 2, generator=torch.Generator().manual_seed(0)).double()
    ).detach()
    mean, covariance = law.reverse_sde(problem.x_T, 1.0, 0.001)
    assert relative_error(x_0.mean(0), mean[0].detach()) < 0.1
    assert relative_error(torch.cov(x_0.T), covariance.detach()) < 0.1


def test_keyed_noise_has_no_path_and_no_flow_gradient(gaussian):
    assert gaussian.problem(sampler="ddpm", steps=5, noise="keyed").flow_gradient() is None


def test_less_noise_than_the_reverse_sde_has_no_flow_gradient(gaussian):
    assert gaussian.problem(sampler="ddim[eta=0.5]", steps=5).flow_gradient() is None


def test_steps_shorter_than_a_cell_have_noise_of_their_own():
    problem = gradbench.case("gaussian", dim=2, batch=1).problem(sampler="ddpm", steps=3000)
    rows = torch.stack([problem.rollout.noise(k) for k in range(3000)]).flatten()
    assert abs(rows.var().item() - 1) < 0.1 and abs((rows[2:] * rows[:-2]).mean().item()) < 0.1


def test_the_reference_of_a_single_precision_chain_is_on_the_same_path(gaussian):
    single, double = (gaussian.problem(sampler="ddpm", steps=8, dtype=d) for d in ("float32", "float64"))
    a, b = (flatten(p.flow_gradient()["x_T"]) for p in (single, double))
    assert relative_error(a, b) < 1e-5
