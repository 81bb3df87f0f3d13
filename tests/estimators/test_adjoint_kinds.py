"""The continuous adjoint in general: recoveries, backward grids, orders, adaptive steps, changing conditions."""

import math

import pytest
import torch

import gradbench
from gradbench.estimators.pathwise.pullback import backward_grid
from gradbench.estimators.pathwise.recovery import Stored
from gradbench.problems.gradients import flatten, relative_error
from gradbench.samplers.runge_kutta import EULER, HEUN, RK4, RungeKutta


def grads(problem, selector, **options):
    return gradbench.estimator(selector, **options)(problem).grads


def worst(got, expected):
    return max(relative_error(got[target], expected[target]) for target in expected)


@pytest.mark.parametrize("rule", ["euler", "ab2", "2m", "rk4"])
@pytest.mark.parametrize("sampler", ["ddim", "belm", "rex", "sde-dpm++1"])
def test_binomial_states_are_the_stored_ones(gaussian, sampler, rule):
    problem = gaussian.problem(sampler=sampler, steps=13)
    chart = "noise" if rule == "2m" else "log-snr"
    stored, binomial = (
        grads(problem, "continuous-adjoint", trajectory=name, rule=rule, chart=chart) for name in ("stored", "binomial")
    )
    assert all(torch.equal(flatten(stored[t]), flatten(binomial[t])) for t in stored)


@pytest.mark.parametrize("sampler", ["belm", "edict", "bdia", "reversible-heun", "rex", "rex[chart=log-snr-sde]"])
def test_inverted_states_are_the_stored_ones_to_rounding(sampler):
    problem = gradbench.case("gaussian", schedule="scaled-linear").problem(sampler=sampler, steps=20)
    stored, inverted = (grads(problem, "continuous-adjoint", trajectory=name) for name in ("stored", "inverted"))
    assert worst(inverted, stored) < 1e-11


def test_the_inverted_recovery_of_a_continuous_adjoint_costs_one_evaluation_a_step(gaussian):
    estimate = gradbench.estimator("continuous-adjoint", trajectory="inverted")(
        gaussian.problem(sampler="belm", steps=12)
    )
    assert (estimate.nfe_forward, estimate.nfe_backward, estimate.vjps) == (12, 12 + 11, 12)


@pytest.mark.parametrize(("n", "m"), [(20, 5), (20, 20), (7, 3), (10, 20), (4, 10), (3, 7)])
def test_the_backward_grid_rises_from_the_clean_end_to_the_noisy_one(n, m):
    grid = [1 - k / n for k in range(n + 1)]
    places = backward_grid(grid, m)
    times = [t for t, _ in places]
    assert len(places) == m + 1 and times[0] == grid[-1] and times[-1] == grid[0]
    assert all(a < b for a, b in zip(times, times[1:], strict=False))
    assert all(grid[k] == t for t, k in places if k is not None)
    assert sum(k is not None for _, k in places) == (m + 1 if m <= n else math.gcd(n, m) + 1)


@pytest.mark.parametrize(
    "estimator", ["adjoint-dpm", "adjoint-deis[trajectory=resolved]", "continuous-adjoint[trajectory=resolved]"]
)
def test_more_backward_steps_than_forward_ones_bring_the_resolved_adjoint_nearer_the_flow(estimator):
    problem = gradbench.case("gaussian", schedule="scaled-linear").problem(sampler="rk4", steps=20)
    exact = problem.flow_gradient()["x_T"]
    few, many = (relative_error(grads(problem, estimator, steps=m)["x_T"], exact) for m in (20, 320))
    assert many < few / 8


def test_states_between_the_grids_times_are_known_where_they_are_resolved_only(gaussian):
    with pytest.raises(ValueError, match="trajectory=resolved only"):
        grads(gaussian.problem(steps=5), "adjoint-deis", steps=6)


def conjugate(problem, rule: RungeKutta):
    """dL/dx_T by the symplectic partner of a tableau: A*_ij = b_j - b_j A_ji / b_i, on the recomputed stages.

    Matsubara, Miyatake and Yaguchi, 2021, arXiv:2102.09750; b_i != 0, in the chart's y.
    """
    rollout, grid = problem.rollout, problem.rollout.grid
    chart, field = rollout.chart, rollout.field
    with torch.no_grad():
        states = [problem.x_T]
        for k in range(rollout.steps):
            states.append(rollout.step(k, (states[-1],))[0])
    x_0 = states[-1].detach().requires_grad_()
    (cotangent,) = torch.autograd.grad(problem.objective(x_0).sum(), x_0)
    adjoint = chart.kappa(grid[-1]) * cotangent
    s = rule.stages
    for k in reversed(range(rollout.steps)):
        h, interval = chart.tau(grid[k + 1]) - chart.tau(grid[k]), rollout.interval(k)
        y, slopes, pulls = states[k] / chart.kappa(grid[k]), [], []
        for c, row in zip(rule.nodes, rule.matrix, strict=True):
            t = interval.time(c)
            stage = (y + h * sum(a * f for a, f in zip(row, slopes, strict=True))).detach().requires_grad_()
            with torch.enable_grad():
                slope = field(t, stage * chart.kappa(t))
            slopes.append(slope.detach())
            pulls.append(lambda v, slope=slope, stage=stage: torch.autograd.grad(slope, stage, v, retain_graph=True)[0])
        # backwards in stages: adjoint_i = adjoint_end + h sum_j (b_j A_ji / b_i) pull_j(adjoint_j)
        found: dict[int, torch.Tensor] = {}
        for i in reversed(range(s)):
            later = sum(rule.weights[j] * rule.matrix[j][i] / rule.weights[i] * found[j] for j in range(i + 1, s))
            found[i] = pulls[i](adjoint + h * later)
        adjoint = adjoint + h * sum(b * found[i] for i, b in enumerate(rule.weights))
    return adjoint / chart.kappa(grid[0])


@pytest.mark.parametrize(
    ("sampler", "rule"), [("ddim", EULER), ("heun", HEUN), ("rk4", RK4), ("rk4[chart=angle]", RK4)]
)
@pytest.mark.parametrize("law", ["gaussian", "mixture"])
def test_the_symplectic_adjoint_is_the_transpose(law, sampler, rule):
    problem = gradbench.case(law).problem(sampler=sampler, steps=9)
    # b_i != 0: the partner of the midpoint rule, whose first weight is 0, needs a tableau of its own
    assert relative_error(conjugate(problem, rule), problem.sampler_gradient()["x_T"]) < 1e-12


@pytest.mark.parametrize(("order", "expected"), [(1, 1), (2, 2)])
def test_adjoint_deis_has_its_order_in_every_target(order, expected):
    case, found = gradbench.case("gaussian", schedule="scaled-linear"), []
    for steps in (640, 1280):
        problem = case.problem(sampler="rk4[grid=uniform-log-snr]", steps=steps)
        exact, got = problem.flow_gradient(), grads(problem, "adjoint-deis", order=order)
        found.append({target: relative_error(got[target], exact[target]) for target in exact})
    for target in found[0]:
        assert math.log2(found[0][target] / found[1][target]) == pytest.approx(expected, abs=0.2), target


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("selector", ["adjoint-dpm[rule=dopri5,steps=1]", "continuous-adjoint[rule=dopri5]"])
def test_adaptive_adjoints_reach_their_tolerance(selector, tolerance):
    problem = gradbench.case("gaussian", schedule="scaled-linear").problem(
        sampler="rk4[grid=uniform-log-snr]", steps=200
    )
    got = grads(problem, selector, rtol=tolerance, atol=tolerance)
    assert worst(got, problem.flow_gradient()) < 100 * tolerance


def test_a_rejected_step_adds_nothing_to_the_shared_gradients():
    """From one large first attempt: rejected attempts would leave their quadratures behind."""
    problem = gradbench.case("mixture").problem(sampler="rk4[grid=uniform-log-snr]", steps=200)
    whole = grads(problem, "adjoint-dpm", rule="dopri5", steps=1, rtol=1e-9, atol=1e-9)
    parts = grads(problem, "adjoint-dpm", rule="dopri5", steps=200, rtol=1e-9, atol=1e-9)
    assert worst(whole, parts) < 1e-6


def test_an_adaptive_adjoint_that_finds_no_step_says_so():
    problem = gradbench.case("gaussian").problem(steps=4)
    with pytest.raises(RuntimeError, match="too stiff"):
        grads(problem, "adjoint-dpm", rule="dopri5", rtol=1e-16, atol=1e-16)


@pytest.mark.parametrize("chart", ["time", "noise", "data", "angle", "log-snr"])
def test_the_sde_adjoint_converges_on_its_path_in_every_chart(chart):
    case, found = gradbench.case("gaussian", schedule="scaled-linear"), []
    for steps in (320, 1280):
        problem = case.problem(sampler="sde-dpm++1[grid=uniform-log-snr]", steps=steps, noise="nested")
        got = grads(problem, "continuous-adjoint", chart=chart, rule="euler")["x_T"]
        found.append(relative_error(got, problem.flow_gradient()["x_T"]))
    assert found[1] < found[0] / 2.5 and found[1] < 0.1


@pytest.mark.parametrize(
    "estimator", ["adjoint-deis", "adjoint-dpm[trajectory=stored]", "continuous-adjoint", "torchsde-adjoint"]
)
def test_a_chain_with_less_noise_than_the_reverse_sde_has_another_adjoint(gaussian, estimator):
    traits = gaussian.problem(sampler="ddim[eta=0.5]", steps=4).traits
    assert "0 < eta < 1" in gradbench.estimator(estimator).supports(traits)


def scheduled(pieces=4):
    """A Gaussian whose mean moves at three times, its sample, and the leaf of means."""
    problem = gradbench.case("gaussian", dim=3).problem(steps=2)
    means = problem.denoiser.condition.detach() + torch.linspace(-0.5, 0.5, pieces, dtype=torch.float64)[:, None]
    means.requires_grad_()
    edges = [1 - (i + 1) / pieces + 1e-6 for i in range(pieces - 1)]
    return gradbench.Scheduled(problem.denoiser.requires_grad_(False), means, edges), problem.x_T, means


def piece_gradients(gradient, steps, sampler="ddim"):
    denoiser, x_T, means = scheduled()
    x_0 = gradbench.sample(denoiser, x_T, sampler=sampler, steps=steps, gradient=gradient, wrt=[means])
    return torch.autograd.grad((0.5 * x_0**2).sum(), means)[0]


@pytest.mark.parametrize("gradient", ["checkpoint", "revolve"])
def test_every_piece_of_a_changing_condition_has_its_own_gradient(gradient):
    assert relative_error(piece_gradients(gradient, 12), piece_gradients("backprop", 12)) < 1e-12


@pytest.mark.parametrize("gradient", ["adjoint-deis", "adjoint-deis[order=2]", "adjoint-deis[trajectory=resolved]"])
def test_adjoint_deis_gives_the_increment_of_each_piece(gradient):
    exact = piece_gradients("backprop", 2560)
    coarse, fine = piece_gradients(gradient, 320), piece_gradients(gradient, 1280)
    apart = [(g - exact).norm(dim=1) / exact.norm(dim=1) for g in (coarse, fine)]
    assert apart[1].max() < 0.05 and (apart[1] < apart[0]).all()
    shift = fine.flip(0).cumsum(0).flip(0)  # the paper's a_z at the top of each piece: all pieces below it too
    assert ((shift - exact).norm(dim=1) / exact.norm(dim=1)).max() > 0.3


def test_the_pieces_gradients_add_up_to_that_of_one_shared_condition():
    case = gradbench.case("gaussian", dim=3)
    problem = case.problem(steps=12)
    law = problem.denoiser.requires_grad_(False)
    means = law.condition.detach().expand(4, -1).clone().requires_grad_()
    x_0 = gradbench.sample(gradbench.Scheduled(law, means, [0.7, 0.4, 0.2]), problem.x_T, steps=12, wrt=[means])
    pieces = torch.autograd.grad((0.5 * x_0**2).sum(), means)[0]
    shared = law.condition.detach().clone().requires_grad_()
    one = gradbench.Scheduled(law, shared[None], [])
    x_0 = gradbench.sample(one, problem.x_T, steps=12, gradient="backprop", wrt=[one.conditions, shared])
    assert relative_error(pieces.sum(0), torch.autograd.grad((0.5 * x_0**2).sum(), shared)[0]) < 1e-12


def test_edges_that_rise_are_refused():
    law = gradbench.case("gaussian", dim=3).problem(steps=2).denoiser
    with pytest.raises(ValueError, match="decreasing times"):
        gradbench.Scheduled(law, torch.zeros(3, 3), [0.2, 0.5])


def test_offloaded_states_lie_where_they_were_sent(gaussian):
    problem = gaussian.problem(steps=3)
    trajectory = Stored("meta").run(problem.rollout, problem.rollout.start(problem.x_T))
    assert {s.device.type for state in trajectory.states for s in state} == {"meta"}
    assert trajectory.last[0].device.type == "cpu"
