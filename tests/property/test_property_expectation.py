"""The distribution of x_0 over the noise of a chain that is affine in the state."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from leaves import agree, examples, named, run, slack

import gradbench
from gradbench.testing.strategies import numbers, situations

PRESERVING = ("vp-linear", "scaled-linear", "cosine")
AFFINE = situations(names=("gaussian",), log_std=(-4, 1), reach=6.0, schedules=PRESERVING)
CHAINS = ("ddpm", "sde-dpm1", "sde-dpm++1", "euler-maruyama", "ddim[eta=0.3]")


def silent(law, span, x_T, sampler, objective="quadratic"):
    """The same chain with noise zero."""
    noise = torch.zeros(8, *x_T.shape, dtype=torch.float64)
    return law.problem(span, x_T, sampler, 8, objective, noise=noise)


@pytest.mark.parametrize("sampler", CHAINS)
@examples(15)
@given(AFFINE)
def test_the_mean_over_the_noise_is_the_chain_without_noise(sampler, problem):
    law, span, x_T = problem
    _, mean, _, _ = law.problem(span, x_T, sampler, 8, "quadratic").expectation()
    alone = silent(law, span, x_T, sampler)
    states, state = [x_T], alone.rollout.start(x_T)
    with torch.no_grad():
        for k in range(8):
            state = alone.rollout.step(k, state)
            states.append(state[0])
        x_0 = alone.rollout.finish(state)
    scale = max(s.abs().max().item() for s in states)
    assert (mean - x_0).abs().max().item() <= 1e-12 * (1 + scale)


@pytest.mark.parametrize("sampler", [*CHAINS, "exact-sde"])
@examples(20)
@given(AFFINE)
def test_the_covariance_is_symmetric_and_positive_semidefinite(sampler, problem):
    law, span, x_T = problem
    of = "exact-sde" if sampler == "exact-sde" else "sampler"
    own = law.problem(span, x_T, "ddpm" if of == "exact-sde" else sampler, 8, "quadratic")
    _, _, covariance, _ = own.expectation(of)
    scale = covariance.diagonal().sum().item()
    assert scale >= 0 and (covariance - covariance.T).abs().max().item() <= 1e-13 * scale
    assert torch.linalg.eigvalsh((covariance + covariance.T) / 2).min().item() >= -1e-13 * scale


@pytest.mark.parametrize("sampler", CHAINS)
@examples(15)
@given(AFFINE)
def test_the_expected_gradient_in_x_T_of_a_quadratic_is_that_without_noise(sampler, problem):
    law, span, x_T = problem
    found = law.problem(span, x_T, sampler, 8, "quadratic").expected_gradient()
    alone = gradbench.estimator("backprop")(silent(law, span, x_T, sampler)).grads
    for target in ("x_T", "condition"):  # the covariance does not depend on them
        scale = 1 + x_T.abs().max().item() + alone[target].norm().item()
        assert (found[target] - alone[target]).norm().item() <= 1e-11 * scale


@examples(20)
@given(AFFINE)
def test_the_expected_objective_is_the_objective_of_the_mean_and_half_the_weighted_variance(problem):
    law, span, x_T = problem
    own = law.problem(span, x_T, "ddpm", 8, "quadratic")
    _, mean, covariance, value = own.expectation()
    spread = 0.5 * (torch.from_numpy(law.arrays["weight"]) * covariance.diagonal()).sum().item() * len(x_T)
    assert value == pytest.approx(own.objective(mean).sum().item() + spread, rel=1e-12)


@examples(20)
@given(AFFINE)
def test_ddpm_is_ddim_with_eta_one_in_expectation(problem):
    law, span, x_T = problem
    one, two = (law.problem(span, x_T, s, 8, "quadratic").expected_gradient() for s in ("ddpm", "ddim[eta=1.0]"))
    agree(named(law, one), named(law, two), 0.0)


@examples(20)
@given(AFFINE)
def test_ddpm_is_the_data_charts_euler_rule_on_the_reverse_sde(problem):
    law, span, x_T = problem
    one, two = (law.problem(span, x_T, s, 8, "quadratic").expectation() for s in ("ddpm", "sde-dpm++1"))
    assert (one[1] - two[1]).abs().max().item() <= 1e-11 * (1 + x_T.abs().max().item())
    assert (one[2] - two[2]).abs().max().item() <= 1e-11 * (1 + two[2].diagonal().max().item())


@examples(20)
@given(AFFINE, st.integers(5, 7))
def test_the_expected_gradient_tends_to_that_of_ddim_as_eta_vanishes(problem, digits):
    law, span, x_T = problem
    found = law.problem(span, x_T, f"ddim[eta=1e-{digits}]", 8, "quadratic").expected_gradient()
    exact = run(law, span, x_T, "ddim", 8, "quadratic")
    rounding = slack(law, span, x_T, "ddim", 8, "quadratic")
    # eta enters squared, against what a chain makes of x and of sigma/alpha at the noisy end
    gain = (1 + x_T.abs().max().item()) * (1 + span.made.sigma(span.t_max) / span.made.alpha(span.t_max)) ** 2
    agree(named(law, found), exact, {k: 100 * 10.0 ** (-2 * digits) * gain + rounding[k] for k in exact})


@examples(20)
@given(situations(names=("gaussian", "dirac"), reach=6.0, schedules=PRESERVING), numbers(0.1, 1))
def test_noise_only_adds_to_a_quadratic(problem, eta):
    law, span, x_T = problem
    own = law.problem(span, x_T, f"ddim[eta={eta}]", 8, "quadratic")
    _, mean, _, value = own.expectation()
    assert value >= own.objective(mean).sum().item()


@examples(20)
@given(situations(names=("gaussian",), schedules=("ve", "rectified")))
def test_ddpm_is_the_data_charts_euler_rule_on_the_reverse_sde_of_every_schedule(problem):
    law, span, x_T = problem
    one, two = (law.problem(span, x_T, s, 8, "quadratic").expectation() for s in ("ddpm", "sde-dpm++1"))
    assert (one[1] - two[1]).abs().max().item() <= 1e-11 * (1 + x_T.abs().max().item())
    assert (one[2] - two[2]).abs().max().item() <= 1e-11 * (1 + two[2].diagonal().max().item())
