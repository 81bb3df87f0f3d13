"""The continuous adjoints against each other and against torchdiffeq."""

import pytest

import gradbench
from gradbench.problems.gradients import relative_error

TARGETS = ("x_T", "condition", "parameters")


def grads(case, estimator, **given):
    return gradbench.estimator(estimator)(case.problem(**given)).grads


@pytest.mark.parametrize("trajectory", ["stored", "resolved"])
def test_adjoint_deis_of_order_one_is_euler_on_adjoint_dpm(gaussian, trajectory):
    a = grads(gaussian, f"adjoint-deis[trajectory={trajectory}]", steps=15)
    b = grads(gaussian, f"adjoint-dpm[rule=euler,trajectory={trajectory}]", steps=15)
    assert all(relative_error(a[t], b[t]) < 1e-13 for t in TARGETS)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "midpoint", "midpoint[chart=data]", "euler[chart=log-snr]"])
@pytest.mark.parametrize("trajectory", ["stored", "resolved"])
def test_torchdiffeq_agrees_with_our_adjoint_of_the_same_rule_and_chart(gaussian, sampler, trajectory):
    problem = gaussian.problem(sampler=sampler, steps=15)
    rule, chart = sampler.partition("[")[0].replace("ddim", "euler"), problem.sampler.chart
    theirs = gradbench.estimator("torchdiffeq-adjoint", trajectory=trajectory)(problem)
    ours = gradbench.estimator("continuous-adjoint", chart=chart, rule=rule, trajectory=trajectory)(problem)
    assert relative_error(theirs.x_0, ours.x_0) < 1e-12
    assert all(relative_error(theirs.grads[t], ours.grads[t]) < 1e-10 for t in TARGETS)


@pytest.mark.parametrize("chart", ["noise", "data", "angle", "log-snr", "time"])
def test_torchdiffeq_adaptive_converges_to_the_flow_gradient(gaussian, chart):
    problem = gaussian.problem(steps=10)
    options = {"method": "dopri5", "chart": chart, "trajectory": "resolved", "rtol": 1e-9, "atol": 1e-9}
    estimator = gradbench.estimator("torchdiffeq-adjoint", **options)
    found, exact = estimator(problem).grads, problem.flow_gradient()
    assert all(relative_error(found[t], exact[t]) < 1e-6 for t in TARGETS)


def test_a_backward_grid_of_m_steps_sees_every_other_state(gaussian):
    ours = grads(gaussian, "adjoint-deis[steps=5]", steps=10)
    full = grads(gaussian, "adjoint-deis", steps=10)
    assert relative_error(ours["x_T"], full["x_T"]) > 1e-3


def test_more_backward_steps_than_the_sampler_has_is_refused():
    reason = gradbench.estimator("adjoint-deis", steps=11).supports({"stochastic": False, "steps": 10})
    assert "backward steps must be <= the sampler's 10 steps, got 11" in reason


@pytest.mark.parametrize("targets", [("x_T",), ("condition",), ("parameters",), ("x_T", "parameters")])
@pytest.mark.parametrize("estimator", ["backprop", "checkpoint", "adjoint-dpm", "adjoint-deis", "torchdiffeq-adjoint"])
def test_a_subset_of_targets_gives_the_same_gradients(gaussian, estimator, targets):
    part, whole = grads(gaussian, estimator, steps=6, targets=targets), grads(gaussian, estimator, steps=6)
    assert tuple(part) == targets
    assert all(relative_error(part[t], whole[t]) < 1e-13 for t in targets)
