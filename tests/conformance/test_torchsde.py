"""torchsde through its public API: its chain on our noises, its exact pair, its inexact ones."""

import pytest
import torch
from torchsde import sdeint

import gradbench
from gradbench.problems.gradients import flatten, relative_error


@pytest.fixture
def problem():
    return gradbench.case("gaussian", schedule="scaled-linear").problem(sampler="euler-maruyama", steps=40)


def plain(problem, method, monkeypatch):
    """The gradient by backpropagation through torchsde's own solver."""
    import torchsde

    def through(sde, y0, ts, adjoint_method, adjoint_params, **options):
        return sdeint(sde, y0, ts, **options)

    monkeypatch.setattr(torchsde, "sdeint_adjoint", through)
    return gradbench.estimator("torchsde-adjoint", method=method)(problem)


def test_euler_in_time_is_our_euler_maruyama(problem):
    estimate = gradbench.estimator("torchsde-adjoint", method="euler")(problem)
    assert relative_error(estimate.x_0, gradbench.estimator("backprop")(problem).x_0) < 1e-12


def test_backpropagation_through_its_euler_is_our_gradient(problem, monkeypatch):
    found = plain(problem, "euler", monkeypatch).grads
    for target, gradient in problem.sampler_gradient().items():
        assert relative_error(found[target], gradient) < 1e-12


def test_its_reversible_pair_is_exact_and_its_ito_pair_is_not(problem, monkeypatch):
    pairs = {m: gradbench.estimator("torchsde-adjoint", method=m)(problem).grads for m in ("reversible_heun", "euler")}
    for method, (least, most) in {"reversible_heun": (0.0, 1e-10), "euler": (1e-3, 1.0)}.items():
        exact = plain(problem, method, monkeypatch).grads
        for target in exact:
            error = relative_error(flatten(pairs[method][target]), flatten(exact[target]))
            assert least <= error < most or target == "condition", (method, target, error)


def test_images_are_flattened_and_given_back(digits):
    problem = digits.problem(sampler="ddpm[grid=uniform-t]", steps=3)
    estimate = gradbench.estimator("torchsde-adjoint")(problem)
    assert estimate.x_0.shape == problem.x_T.shape and torch.isfinite(estimate.x_0).all()


@pytest.mark.parametrize(
    ("sampler", "reason"),
    [("ddim", "use a stochastic sampler"), ("ddpm[grid=karras]", "uniformly"), ("ddim[eta=0.5]", "0 < eta < 1")],
)
def test_refusals_have_a_reason(gaussian, sampler, reason):
    with pytest.raises(ValueError, match=reason):
        gradbench.estimator("torchsde-adjoint")(gaussian.problem(sampler=sampler, steps=4))
