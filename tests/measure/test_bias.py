"""Bias against a Monte Carlo expected gradient: no noise of the reference passes for a bias."""

import numpy as np
import pytest
import torch

import gradbench
from gradbench.estimators.base import GradientEstimate
from gradbench.measure.bias import columns
from gradbench.problems.gradients import Gradients
from gradbench.references.expected import by_draws
from gradbench.references.reference import Reference, thirds_of

SIZE = 256
SIGNAL, NOISE = 0.0146, 0.157  # |g| and the root of the trace of a draw's covariance, as of x_T on digits


class Synthetic:
    """Draws of a gradient with the norm and noise of that of digits, in as few directions."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        g = self.random.standard_normal(SIZE)
        self.g = SIGNAL * g / np.linalg.norm(g)
        spread = np.exp(-np.arange(SIZE) / 20.0)
        self.root = NOISE * np.linalg.qr(self.random.standard_normal((SIZE, SIZE)))[0] * spread / np.linalg.norm(spread)

    def means(self, parts, size, factor=1.0):
        noise = self.random.standard_normal((parts, SIZE)) @ self.root.T / size**0.5
        return [Gradients(x_T=torch.from_numpy(factor * self.g + row)) for row in noise]

    def estimate(self, parts, size, factor=1.0):
        means = self.means(parts, size, factor)
        grads = Gradients.stacked(means, lambda part: part.mean(0))
        return GradientEstimate(grads, torch.zeros(1), 0.0, 1, 1, 1, parts * size, None, means)

    def reference(self, parts, size):
        means = self.means(parts, size)
        return Reference(Gradients.stacked(means, lambda part: part.mean(0)), "", 0.0, {}, "float64", thirds_of(means))


@pytest.mark.parametrize("size", [2, 20, 2000])  # draws in each of a reference's 32 parts
def test_an_unbiased_estimator_is_no_number_of_errors_off_on_average(size):
    problem, found = Synthetic(size), []
    for _ in range(400):
        row = columns(problem.estimate(32, 2), problem.reference(32, size))
        found.append(row["bias_x_T"] / row["std_error_x_T"])
    assert abs(np.mean(found)) < 4 / 400**0.5
    assert 0.88 < np.std(found) < 1.2  # 1, and a little more where a variance is known from eleven parts


@pytest.mark.parametrize("size", [2, 20])
def test_one_mean_in_every_place_would_call_an_unbiased_estimator_short(size):
    problem, found = Synthetic(size), []
    for _ in range(150):
        whole = problem.reference(32, size)
        found.append(columns(problem.estimate(32, 2), Reference(whole.grads, "", 0.0))["bias_x_T"])
    share = NOISE**2 / (32 * size) / SIGNAL**2
    assert np.median(found) == pytest.approx(-share / (1 + share), abs=0.1)


@pytest.mark.parametrize("factor", [0.1, 0.7, 1.0, 3.0])
def test_a_bias_is_found_where_the_reference_is_drawn(factor):
    problem = Synthetic(5)
    rows = [columns(problem.estimate(32, 500, factor), problem.reference(32, 2000)) for _ in range(60)]
    errors = np.std([row["bias_x_T"] for row in rows])
    assert np.mean([row["bias_x_T"] for row in rows]) == pytest.approx(factor - 1, abs=4 * errors / 60**0.5)


@pytest.mark.parametrize("size", [20, 2000])
def test_the_distance_holds_the_estimates_own_noise_and_not_the_references(size):
    problem = Synthetic(6)
    squares = [columns(problem.estimate(32, 20), problem.reference(32, size))["bias_norm_x_T"] ** 2 for _ in range(100)]
    assert np.median(squares) == pytest.approx(NOISE**2 / 640 / SIGNAL**2, rel=0.25)


def test_an_exact_reference_is_in_every_place():
    problem = Synthetic(7)
    estimate, g = problem.estimate(32, 2), torch.from_numpy(problem.g)
    row, m = columns(estimate, Reference({"x_T": g}, "", 0.0)), estimate.grads["x_T"]
    along = torch.stack([part["x_T"] for part in estimate.batch_means]) @ g / (g @ g)
    assert row["bias_x_T"] == pytest.approx(((m - g) @ g / (g @ g)).item(), rel=1e-12)
    assert row["std_error_x_T"] == pytest.approx(along.std().item() / 32**0.5, rel=1e-12)
    assert row["bias_norm_x_T"] == pytest.approx(((m - g).norm() / g.norm()).item(), rel=1e-12)


def test_five_parts_make_no_thirds():
    assert thirds_of(Synthetic(8).means(5, 2)) is None


def _deviations(make, seeds, reference_draws, **options):
    """An unbiased estimator's bias over its error, by target, for every seed."""
    found = {}
    for seed in seeds:
        problem = make(seed)
        row = columns(gradbench.estimator("reinforce", draws=64)(problem), by_draws(problem, reference_draws))
        for target in problem.targets:
            found.setdefault(target, []).append(row[f"bias_{target}"] / row[f"std_error_{target}"])
    return found


@pytest.mark.slow
def test_reinforce_on_a_mixture_is_unbiased_against_references_of_64_draws():
    case = gradbench.case("mixture", dim=3, batch=2)
    found = _deviations(lambda s: case.problem(sampler="ddim[eta=1]", steps=4, seed=s), range(48), 64)
    for target, values in found.items():
        assert abs(np.mean(values)) < 4 * np.std(values) / 48**0.5, target
        assert 0.7 < np.std(values) < 1.4, target


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_full_pathwise_gradient_of_digits_is_unbiased_against_references_of_64_draws(digits):
    steps, found = 4, {}
    for seed in range(24):
        problem = digits.problem(sampler="ddim[eta=1]", steps=steps, seed=seed)
        row = columns(gradbench.estimator("draft", k=steps, draws=64)(problem), by_draws(problem, 64))
        for target in problem.targets:
            found.setdefault(target, []).append(row[f"bias_{target}"] / row[f"std_error_{target}"])
    for target, values in found.items():
        assert abs(np.mean(values)) < 4 / 24**0.5, target
        assert 0.6 < np.std(values) < 1.5, target
