"""Edges where a stranger got hurt: histories, copies, first steps, targets that are not reached, forward mode."""

import pytest
import torch

import gradbench
from gradbench.bench.cell import Cell
from gradbench.bench.worker import run_cell
from gradbench.estimators.pathwise.truncated import Truncated
from gradbench.estimators.pathwise.truncation import LastSteps
from gradbench.measure.cost import held_tensors, peak_memory
from gradbench.references.expected import by_draws


@pytest.mark.parametrize("sampler", ["ddpm", "ddim[eta=1]", "sde-dpm++2m", "euler-maruyama"])
def test_forward_mode_runs_while_bytes_are_counted(sampler):
    problem = gradbench.case("gaussian", dim=2).problem(sampler=sampler, steps=3)
    method = gradbench.estimator("forward-gradient", draws=4)
    assert peak_memory(lambda: method(problem), held_tensors(problem), torch.device("cpu")).peak > 0


@pytest.mark.parametrize("gradient", ["shortcut", "drtune[k=2]", "alignprop[law=released-v1]", "alignprop", "refl"])
@pytest.mark.parametrize(
    "sampler", ["belm", "bdia", "ab2", "dpm++2m", "sde-dpm++2m", "rex", "edict", "reversible-heun"]
)
def test_truncations_serve_rules_with_histories_and_copies(sampler, gradient):
    problem = gradbench.case("gaussian", dim=2, batch=1).problem(sampler=sampler, steps=4)
    for seed in range(6):
        problem.seed = seed
        estimate = gradbench.estimator(gradient, draws=4)(problem)
        assert all(torch.isfinite(g).all() for g in estimate.grads.values() if isinstance(g, torch.Tensor))


@pytest.mark.parametrize("sampler", ["ddim", "reversible-heun", "rex", "edict", "belm"])
def test_nothing_active_is_no_gradient(sampler):
    problem = gradbench.case("gaussian", dim=3).problem(sampler=sampler, steps=5)
    assert Truncated(LastSteps(0))(problem).grads == {}


@pytest.mark.parametrize("sampler", ["ddim", "rex", "edict", "reversible-heun", "rk4"])
def test_drtune_stops_the_gradient_at_every_input_whatever_the_rule(sampler):
    """So the gradient of the sum of x_0 in x_T is one number, alpha_N / alpha_0."""
    problem = gradbench.case("gaussian", dim=3).problem(sampler=sampler, steps=5)
    x_T = problem.x_T.requires_grad_()
    x_0 = gradbench.estimator("drtune", k=2).sample(problem.rollout, x_T, problem.wrt)
    (found,) = torch.autograd.grad(x_0.sum(), x_T)
    s, grid = problem.denoiser.schedule, problem.rollout.grid
    assert torch.allclose(found, torch.full_like(found, s.alpha(grid[-1]) / s.alpha(grid[0])), rtol=1e-9)


@pytest.mark.parametrize("sampler", ["rex", "edict", "reversible-heun"])
def test_draft_lv_refuses_copies(sampler):
    with pytest.raises(ValueError, match="two copies"):
        gradbench.estimator("draft-lv")(gradbench.case("gaussian").problem(sampler=sampler, steps=3))


def test_rlr_refuses_a_sub_chain_that_does_not_fit():
    with pytest.raises(ValueError, match="h must be <= 2, the sampler's 4 steps minus two, got 9"):
        gradbench.estimator("rlr", h=9)(gradbench.case("gaussian").problem(sampler="ddpm", steps=4))


@pytest.mark.parametrize(
    ("params", "sampler"),
    [({"schedule": "rectified"}, "flow-sde"), ({"t_min": 0.0}, "ddpm"), ({"t_min": 0.0}, "sde-dpm++1")],
)
def test_noise_is_drawn_by_key_where_a_path_would_need_an_infinite_log_snr(params, sampler):
    problem = gradbench.case("gaussian", **params).problem(sampler=sampler, steps=4)
    assert problem.noise == "keyed" and torch.isfinite(gradbench.estimator("backprop")(problem).x_0).all()


def test_a_cell_that_reaches_no_target_is_a_skip_with_its_reason():
    row = run_cell(Cell("gaussian", {}, "ddim", {}, 4, "draft", {"k": 2}, ("x_T",), 0, "float64", "cpu"))
    assert row["status"] == "skip" and "draft does not reach x_T" in row["reason"]


def test_a_denoiser_must_be_one():
    x = torch.zeros(2, 3)
    for call in (gradbench.encode, gradbench.cycle_encode):
        with pytest.raises(ValueError, match="must be a gradbench.Denoiser"):
            call(None, x)
    with pytest.raises(ValueError, match="must be a gradbench.Denoiser"):
        gradbench.Scheduled(None, x, [0.5])


@pytest.mark.parametrize("edges", [[float("nan")], [5.0], [0.0], [-0.1]])
def test_edges_lie_inside_the_range_of_time(edges):
    law = gradbench.case("gaussian", dim=3).problem(steps=2).denoiser
    with pytest.raises(ValueError, match="edge"):
        gradbench.Scheduled(law, torch.zeros(2, 3).double(), edges)


def test_conditions_have_the_shape_of_one_a_piece():
    law = gradbench.case("gaussian", dim=3).problem(steps=2).denoiser
    with pytest.raises(ValueError, match="conditions must have shape"):
        gradbench.Scheduled(law, torch.zeros(2, 4).double(), [0.5])


@pytest.mark.parametrize(
    ("second", "weight", "words"), [(-1.0, 0.5, "opposite"), (2.0, float("nan"), "weight"), (2.0, "a", "weight")]
)
def test_interpolation_says_what_it_cannot_do(second, weight, words):
    a = torch.ones(2, 3)
    with pytest.raises(ValueError, match=words):
        gradbench.interpolate(a, second * a, weight)


@pytest.mark.parametrize("gradient", ["alignprop[law=released-v1]", "drtune[k=2]", "shortcut"])
@pytest.mark.parametrize("sampler", ["flow-euler", "dpm++2m"])
def test_truncations_start_from_alpha_zero(sampler, gradient):
    problem = gradbench.case("gaussian", schedule="rectified", dim=2, batch=1).problem(sampler=sampler, steps=4)
    estimate = gradbench.estimator(gradient, draws=8)(problem)
    assert torch.isfinite(torch.cat([g.flatten() for g in (estimate.grads["x_T"], estimate.grads["condition"])])).all()


def test_a_reference_by_draws_is_made_in_float64_as_its_column_says():
    problem = gradbench.case("mixture", dim=2).problem(sampler="ddpm", steps=3, dtype="float32")
    assert by_draws(problem, 8).grads["x_T"].dtype == torch.float64
