"""Speed, as ratios of interleaved runs; shown by `make benchmark`, never asserted in an ordinary test."""

import statistics
import time

import pytest
import torch

import gradbench
from gradbench.diffusion.noise import draw

pytestmark = pytest.mark.benchmark


def hand_written(problem):
    """Backpropagation through DDIM as one would write it by hand: x <- A x + B eps."""
    denoiser, grid, s = problem.denoiser, problem.rollout.grid, problem.denoiser.schedule
    x_T = x = problem.x_T.detach().requires_grad_()
    for t, u in zip(grid, grid[1:], strict=False):
        eps = denoiser._network(x, s.train_steps * t - 1)
        scale = s.alpha(u) / s.alpha(t)
        x = scale * x + (s.sigma(u) - scale * s.sigma(t)) * eps
    return torch.autograd.grad(problem.objective(x).sum(), [x_T, *problem.wrt])


def ratio(first, second, rounds=9):
    """Median time of `first` over that of `second`, taken in turns."""
    times = {first: [], second: []}
    for _ in range(rounds):
        for call in (first, second):
            start = time.perf_counter()
            call()
            times[call].append(time.perf_counter() - start)
    return statistics.median(times[first]) / statistics.median(times[second])


@pytest.fixture
def problem(digits):
    return digits.problem(steps=10)


def test_backprop_against_a_hand_written_loop(benchmark, problem):
    estimator = gradbench.estimator("backprop")
    benchmark.extra_info["ratio"] = ratio(lambda: estimator(problem), lambda: hand_written(problem))
    benchmark(lambda: estimator(problem))


def test_checkpoint_against_backprop(benchmark, problem):
    plain, checkpointed = gradbench.estimator("backprop"), gradbench.estimator("checkpoint")
    benchmark.extra_info["ratio"] = ratio(lambda: checkpointed(problem), lambda: plain(problem))
    benchmark(lambda: checkpointed(problem))


def test_keyed_noise_of_a_thousand_latents(benchmark):
    benchmark(lambda: [draw(0, k, (1, 4, 64, 64)) for k in range(1000)])


def test_the_flow_gradient_of_a_product_mixture_in_100_dimensions(benchmark):
    problem = gradbench.case("product-mixture", dim=100, batch=64).problem(steps=2)
    benchmark(problem.flow_gradient)
