"""References, copies and refusals of a problem."""

import numpy as np
import pytest
import torch

import gradbench
from gradbench.problems.gradients import relative_error


def test_sampler_gradient_matches_central_differences(gaussian):
    problem = gaussian.problem(sampler="heun", steps=6)
    grad, direction, h = problem.sampler_gradient()["x_T"], torch.randn_like(problem.x_T), 1e-5
    values = [problem.objective(problem.rollout.sample(problem.x_T + s * h * direction)).sum() for s in (1, -1)]
    assert ((values[0] - values[1]) / (2 * h)).item() == pytest.approx((grad * direction).sum().item(), rel=1e-8)


def test_flow_gradient_matches_central_differences_in_the_leaves(gaussian):
    problem, h = gaussian.problem(steps=6), 1e-5
    grads = problem.flow_gradient()
    for leaf, grad in ((problem.condition, grads["condition"]), (problem.parameters[0], grads["parameters"][0])):
        direction, values = torch.randn_like(leaf), []
        for sign in (1, -1):
            with torch.no_grad():
                leaf.add_(sign * h * direction)
                values.append(problem.objective(problem.flow(problem, problem.x_T)).sum().item())
                leaf.sub_(sign * h * direction)
        assert (values[0] - values[1]) / (2 * h) == pytest.approx((grad * direction).sum().item(), rel=1e-7)


def test_the_reference_of_a_single_precision_cell_uses_its_own_rounded_values(gaussian):
    single, double = (gaussian.problem(steps=5, dtype=dtype) for dtype in ("float32", "float64"))
    exact = single.to(torch.float64)
    assert torch.equal(exact.x_T, single.x_T.double()) and not torch.equal(exact.x_T, double.x_T)
    assert torch.equal(exact.condition, single.condition.double())
    found = gradbench.estimator("backprop")(single).grads["x_T"]
    assert 0 < relative_error(found, single.sampler_gradient()["x_T"]) < 1e-5


def test_making_a_reference_changes_nothing_of_the_problem(gaussian):
    problem = gaussian.problem(steps=5, dtype="float32")
    before = [leaf.clone() for leaf in (problem.x_T, *problem.wrt)]
    problem.flow_gradient(), problem.sampler_gradient()
    assert all(torch.equal(a, b) for a, b in zip(before, (problem.x_T, *problem.wrt), strict=True))
    assert all(leaf.dtype is torch.float32 for leaf in problem.wrt)


def test_the_expected_gradient_of_a_chain_without_noise_is_its_own(gaussian):
    problem = gaussian.problem(steps=5)
    assert torch.equal(problem.expected_gradient()["x_T"], problem.sampler_gradient()["x_T"])


def test_x_T_may_be_given_as_an_array(gaussian):
    x_T = np.ones((2, 5))
    assert torch.equal(gaussian.problem(x_T=x_T).x_T, torch.ones(2, 5, dtype=torch.float64))


def test_arrays_of_the_law_may_be_given():
    case = gradbench.case("gaussian", condition=[1.0, 2.0], log_std=[0.0, 0.1])
    problem = case.problem(steps=3)
    assert problem.condition.tolist() == [1.0, 2.0] and problem.x_T.shape == (4, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"steps": -3}, "steps must be an integer >= 1, got -3"),
        ({"targets": ("weights",)}, "unknown target 'weights'"),
        ({"targets": ()}, "targets must name at least one"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"sampler": "dim"}, "did you mean 'ddim'"),
        ({"sampler": "rk4[chart=nois]"}, "did you mean 'noise'"),
        ({"sampler": "rk4[grid=uniform]"}, "unknown grid 'uniform'"),
        ({"sampler": "rk4[chart"}, "malformed selector 'rk4\\[chart'"),
        ({"x_T": np.ones((2, 4))}, r"x_T must have shape \(b, 5\), got \(2, 4\)"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(gaussian, given, message):
    with pytest.raises(ValueError, match=message):
        gaussian.problem(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dim": 0}, "dim must be an integer >= 1, got 0"),
        ({"dimension": 3}, "unknown option of case gaussian 'dimension'"),
        ({"t_min": 1.0}, "t_max must be greater than t_min"),
        ({"t_max": 2.0}, r"t_max must lie in \[0, 1\], got 2.0"),
        ({"schedule": "vp"}, "unknown schedule 'vp'"),
        ({"objective": "cubic"}, "unknown objective 'cubic'"),
        ({"batch": 0}, "batch must be an integer >= 1"),
    ],
)
def test_a_wrong_case_parameter_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        gradbench.case("gaussian", **given)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"condition": [0.0, float("nan")], "log_std": [0.0, 0.0]}, "condition must be finite"),
        ({"condition": [0.0, 1.0], "log_std": [0.0, 0.0], "rotation": [[1.0, 0.0], [0.0, 2.0]]}, "orthogonal"),
        ({"condition": [0.0, 1.0], "log_std": [0.0]}, r"log_std must have shape \(2,\), got \(1,\)"),
    ],
)
def test_a_bad_law_is_refused(arrays, message):
    with pytest.raises(ValueError, match=message):
        gradbench.case("gaussian", **arrays).problem()


class Told(gradbench.Differentiable):
    """Keeps the argument of `supports`."""

    def supports(self, traits):
        self.told = dict(traits)

    def sample(self, rollout, x_T, wrt):
        return rollout.sample(x_T)


def test_supports_is_told_targets_and_dtype_by_a_problem_and_by_sample(gaussian):
    problem, estimator = gaussian.problem(steps=3, targets=("x_T", "condition"), dtype="float32"), Told()
    estimator(problem)
    assert (estimator.told["targets"], estimator.told["dtype"]) == (["x_T", "condition"], "float32")
    x_T = problem.x_T.clone().requires_grad_()
    gradbench.sample(problem.denoiser, x_T, steps=3, gradient=estimator, wrt=[problem.condition])
    assert (estimator.told["targets"], estimator.told["dtype"]) == (["x_T", "parameters"], "float32")
