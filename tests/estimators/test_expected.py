"""Expected gradients against Monte Carlo and against each other."""

import pytest
import torch

import gradbench
from gradbench.problems.gradients import flatten, relative_error

SAMPLERS = ("ddpm", "ddim[eta=0.5]", "sde-dpm1", "sde-dpm++1", "euler-maruyama")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_mean_of_many_sampler_gradients_is_the_expected_gradient(sampler):
    case, draws = gradbench.case("gaussian", dim=3, objective="quadratic+sine"), 4000
    one = case.problem(sampler=sampler, steps=8, x_T=torch.randn(1, 3, generator=torch.Generator().manual_seed(0)))
    many = case.problem(sampler=sampler, steps=8, x_T=one.x_T.expand(draws, 3))
    # a draw is a row of the batch: its gradient in x_T, and for shared leaves the sum over the batch
    found, exact = gradbench.estimator("checkpoint")(many).grads, one.expected_gradient()
    error = found["x_T"].std(0) / draws**0.5
    assert ((found["x_T"].mean(0) - exact["x_T"][0]).abs() < 4.5 * error + 1e-12).all()
    assert relative_error(found["condition"] / draws, exact["condition"]) < 0.1


@pytest.mark.parametrize("sampler", ["ddpm", "sde-dpm1", "sde-dpm++1", "euler-maruyama"])
def test_chains_converge_to_the_exact_reverse_sde(sampler):
    case, errors = gradbench.case("gaussian", dim=4, objective="quadratic"), []
    for steps in (200, 400):
        problem = case.problem(sampler=f"{sampler}[grid=uniform-log-snr]", steps=steps)
        chain, exact = problem.expected_gradient(), problem.expected_gradient("exact-sde")
        errors.append([relative_error(chain[t], exact[t]) for t in ("condition", "parameters")])
    for coarse, fine in zip(*errors, strict=True):
        assert fine < 1e-14 or 1.6 < coarse / fine < 2.4  # ddpm has the exact mean at every N


@pytest.mark.parametrize("sampler", ["ddim", "heun", "ab2", "dpm++2m", "rk4[chart=angle]"])
def test_the_moments_of_a_chain_without_noise_are_its_sample(gaussian, sampler):
    problem = gaussian.problem(sampler=sampler, steps=7)
    grads, mean, covariance, value = problem.expectation()
    estimate = gradbench.estimator("backprop")(problem)
    assert relative_error(mean, estimate.x_0) < 1e-12 and covariance.abs().max() == 0
    assert value == pytest.approx(estimate.objective, rel=1e-12)
    for target, expected in estimate.grads.items():
        assert relative_error(flatten(grads[target]), flatten(expected)) < 1e-11


def test_a_nonlinear_score_has_no_expected_gradient_here():
    assert gradbench.case("mixture").problem(sampler="ddpm", steps=4).expected_gradient() is None


def test_ddpm_and_sde_dpm_plus_plus_1_are_the_same_chain(gaussian):
    a, b = (gaussian.problem(sampler=s, steps=9) for s in ("ddpm", "sde-dpm++1"))
    assert relative_error(gradbench.estimator("backprop")(a).x_0, gradbench.estimator("backprop")(b).x_0) < 1e-12


def test_log_prob_is_the_density_of_the_transition(gaussian):
    problem = gaussian.problem(sampler="ddpm", steps=6)
    rollout, state = problem.rollout, problem.rollout.start(problem.x_T)
    (point,) = rollout.step(0, state)
    (mean,), std = rollout.rule.transition(rollout.field, state, rollout.interval(0))
    expected = torch.distributions.Normal(mean, std).log_prob(point).sum(1)
    found = rollout.rule.log_prob(rollout.field, state, rollout.interval(0), point)
    assert torch.allclose(found, expected, rtol=1e-12)
