"""Estimators that move the leaves: unbiased within their errors, and counted in chains."""

import pytest
import torch

import gradbench
from gradbench.estimators.monte_carlo.perturbed import swapped
from gradbench.measure.bias import columns
from gradbench.problems.gradients import relative_error
from gradbench.references.reference import Reference

N = 6


def problem_of(sampler="ddim[eta=1]"):
    return gradbench.case("gaussian", dim=3, batch=2).problem(sampler=sampler, steps=N)


@pytest.mark.parametrize("selector", ["spsa", "evolution-strategies", "forward-gradient", "rlr", "rlr[h=2]"])
@pytest.mark.parametrize("sampler", ["ddim[eta=1]", "sde-dpm++1"])
def test_the_estimate_hits_the_exact_expectation_within_four_errors(selector, sampler):
    problem = problem_of(sampler)
    estimate = gradbench.estimator(selector, draws=20_000)(problem)
    row = columns(estimate, Reference(problem.expected_gradient(), "", 0.0))
    for target in ("x_T", "condition", "parameters"):
        assert abs(row[f"bias_{target}"]) < 4 * row[f"std_error_{target}"], target


@pytest.mark.parametrize(
    ("selector", "expected"), [("spsa", 2 * N), ("evolution-strategies", 2 * N), ("forward-gradient", N)]
)
def test_a_draw_is_two_chains_or_one_without_any_pullback(selector, expected):
    estimate = gradbench.estimator(selector, draws=64)(problem_of())
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == (expected, 0, 0)


@pytest.mark.parametrize("sampler", ["ddim", "ddim[eta=1]", "ab2"])
def test_finite_differences_are_the_samplers_gradient(sampler):
    problem = problem_of(sampler)
    found, exact = gradbench.estimator("finite-differences")(problem), problem.sampler_gradient()
    assert all(relative_error(found.grads[t], exact[t]) < 1e-7 for t in exact)
    assert found.nfe_backward == 2 * N * (2 * 3 + 3 + 3)


def test_the_leaves_are_back_in_their_places_afterwards():
    problem = problem_of()
    before = [(leaf, leaf.detach().clone()) for leaf in problem.leaves]
    gradbench.estimator("spsa", draws=8)(problem)
    assert problem.denoiser.condition is problem.condition
    assert all(torch.equal(leaf, old) for leaf, old in before)


def test_a_swap_is_undone_by_an_error_too():
    problem = problem_of()
    with pytest.raises(RuntimeError), swapped(problem.denoiser, problem.wrt, [torch.zeros(3), torch.zeros(3)]):
        raise RuntimeError
    assert problem.denoiser.condition is problem.condition


def test_forward_mode_goes_through_attention(digits):
    problem = digits.problem(sampler="ddim", steps=2, dtype="float64")
    estimate = gradbench.estimator("forward-gradient", draws=6)(problem)
    exact = problem.sampler_gradient()
    # along its own direction each draw is exact: the mean lies at a positive angle to the gradient's sum of them
    assert all(torch.isfinite(g).all() for g in estimate.grads.values() if isinstance(g, torch.Tensor))
    assert estimate.grads.keys() == exact.keys()


def test_a_networks_draws_are_counted_one_by_one_too(digits):
    estimate = gradbench.estimator("spsa", draws=6)(digits.problem(sampler="ddim", steps=2))
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == (4, 0, 0)


def test_a_networks_condition_is_moved_too(digits):
    problem = digits.problem(sampler="ddim", steps=2, targets=("condition",), dtype="float64")
    flat = problem.condition.numel()
    draws = 8
    estimate = gradbench.estimator("spsa", draws=draws, c=1e-4)(problem)
    (exact,) = problem.sampler_gradient().values()
    # E[(g . d) d] = g: for few draws in many dimensions the overlap is what (g . d)^2 / |g|^2 makes it
    overlap = (estimate.grads["condition"] * exact).sum() / exact.square().sum()
    assert 0 < overlap < 4 * flat**0.5
