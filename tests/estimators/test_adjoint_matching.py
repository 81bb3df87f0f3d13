"""Adjoint matching: full backpropagation at the base model, and the exactly tilted distribution at convergence."""

import pytest
import torch

import gradbench
from gradbench.estimators.monte_carlo.adjoint_matching import lean_adjoint
from gradbench.problems.gradients import relative_error


@pytest.mark.parametrize("sampler", ["ddim[eta=1]", "sde-dpm++1", "ddpm[variance=large]"])
@pytest.mark.parametrize("law", ["gaussian", "mixture"])
def test_at_the_base_model_its_gradient_is_full_backpropagation(law, sampler):
    problem = gradbench.case(law).problem(sampler=sampler, steps=9)
    matching, full = (gradbench.estimator(e, draws=64)(problem) for e in ("adjoint-matching", "draft[k=9]"))
    for target in full.grads:
        assert relative_error(matching.grads[target], full.grads[target]) < 1e-12


def test_with_the_adjoint_of_the_start_it_is_not():
    problem = gradbench.case("gaussian").problem(sampler="ddim[eta=1]", steps=9)
    shifted, full = (gradbench.estimator(e, draws=64)(problem) for e in ("adjoint-matching[index=start]", "draft[k=9]"))
    assert relative_error(shifted.grads["condition"], full.grads["condition"]) > 0.05


def test_it_costs_one_sweep_for_the_adjoint_and_one_for_the_regression():
    estimate = gradbench.estimator("adjoint-matching", draws=4)(
        gradbench.case("gaussian").problem(sampler="ddpm", steps=7)
    )
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == (7, 14, 14)


@pytest.mark.slow
def test_the_matched_control_samples_the_tilted_law():
    """One dimension, L = w (x - y)^2 / 2: base density times exp(-L), a Gaussian, by regression of -s a on x_k, step by
    step.
    """
    steps, n = 400, 40_000
    arrays = {"condition": [0.5], "log_std": [-0.2], "rotation": [[1.0]], "target": [2.0], "weight": [3.0]}
    arrays = {name: torch.tensor(value).double() for name, value in arrays.items()}
    case = gradbench.case("gaussian", schedule="vp-linear", objective="quadratic", t_min=0.001, **arrays)
    generator = torch.Generator().manual_seed(0)
    x_T = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    problem = case.problem(sampler="ddpm[grid=uniform-log-snr]", steps=steps, x_T=x_T)
    rollout, rule = problem.rollout, problem.rollout.rule
    slopes, offsets = torch.zeros(steps).double(), torch.zeros(steps).double()

    def sample():
        states = [(x_T,)]
        with torch.no_grad():
            for k in range(steps):
                (mean,), std = rule.transition(rollout.field, states[-1], rollout.interval(k))
                control = slopes[k] * states[-1][0] + offsets[k]
                noise = torch.randn(n, 1, generator=generator, dtype=torch.float64)
                states.append((mean + std * (control + noise),))
        return states

    for _ in range(6):
        states = sample()
        x = states[-1][0]
        adjoint = lean_adjoint(rollout, states, 3.0 * (x - 2.0))
        for k in range(steps):
            std = rule.std(rollout.interval(k))
            design = torch.cat([states[k][0], torch.ones(n, 1).double()], 1)
            slopes[k], offsets[k] = torch.linalg.lstsq(design, -std * adjoint[k + 1]).solution[:, 0]
    x = sample()[-1][0]
    base_mean, base_cov = 0.5, torch.exp(torch.tensor(-0.4)).item()
    s = problem.denoiser.schedule
    mean, variance = s.alpha(0.001) * base_mean, s.alpha(0.001) ** 2 * base_cov + s.sigma(0.001) ** 2
    precision = 1 / variance + 3.0
    assert x.mean().item() == pytest.approx((mean / variance + 3.0 * 2.0) / precision, abs=0.02)
    assert x.var().item() == pytest.approx(1 / precision, rel=0.04)
