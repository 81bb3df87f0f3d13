"""Orders: the gradient through the sampler converges to the closed form of the flow at the rule's order."""

import math

import pytest

import gradbench
from gradbench.problems.gradients import relative_error
from tests.quick import quick

# midpoint shows order 3 in the noise chart on this grid, where its leading error term cancels: test it in time
ORDERS = {"ddim": 1, "euler[chart=time]": 1, "midpoint[chart=time]": 2, "heun[chart=time]": 2, "ab2[chart=time]": 2}


def errors(case, sampler, steps):
    problem = case.problem(sampler=sampler, steps=steps)
    grads, exact = gradbench.estimator("backprop")(problem).grads, problem.flow_gradient()
    return {target: relative_error(grads[target], exact[target]) for target in exact}


@pytest.mark.parametrize("schedule", ["vp-linear", "scaled-linear"])
@pytest.mark.parametrize("chart", ["time", "noise", "data", "angle"])
def test_rk4_has_slope_four_in_every_ode_chart_and_for_every_target(schedule, chart):
    case, sampler = gradbench.case("gaussian", schedule=schedule), f"rk4[chart={chart},grid=uniform-log-snr]"
    found = {steps: errors(case, sampler, steps) for steps in (40, 80, 160, 320)}
    for target in ("x_T", "condition", "parameters"):
        inside = [n for n in found if 1e-10 <= found[n][target] <= 1e-4]
        slope = math.log2(found[inside[-2]][target] / found[inside[-1]][target])
        assert slope == pytest.approx(4, abs=0.2), (target, found)


def test_rk4_in_the_log_snr_chart_reaches_slope_four_below_1e_minus_11():
    case, sampler = gradbench.case("gaussian"), "rk4[chart=log-snr,grid=uniform-log-snr]"
    coarse, fine = errors(case, sampler, 320), errors(case, sampler, 640)
    for target, error in coarse.items():
        assert math.log2(error / fine[target]) == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize(("sampler", "order"), ORDERS.items())
def test_each_rule_has_its_order(sampler, order):
    selector = (sampler.removesuffix("]") + "," if "[" in sampler else sampler + "[") + "grid=uniform-log-snr]"
    case = gradbench.case("gaussian")
    coarse, fine = errors(case, selector, 320), errors(case, selector, 640)
    for target, error in coarse.items():
        assert math.log2(error / fine[target]) == pytest.approx(order, abs=0.1), target


@pytest.mark.parametrize("rule", ["euler", "midpoint", "heun", "rk4", "ab2"])
@pytest.mark.parametrize("chart", quick(["noise", "angle", "log-snr"], 2))
def test_the_continuous_adjoint_has_its_rules_order(rule, chart):
    order = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4, "ab2": 2}[rule]
    case, found = gradbench.case("gaussian"), {}
    steps = (80, 160) if rule == "rk4" else (320, 640)
    for n in steps:
        problem = case.problem(sampler=f"rk4[chart={chart},grid=uniform-log-snr]", steps=n)
        adjoint = gradbench.estimator("continuous-adjoint", chart=chart, rule=rule)
        found[n] = relative_error(adjoint(problem).grads["x_T"], problem.flow_gradient()["x_T"])
    assert math.log2(found[steps[0]] / found[steps[1]]) == pytest.approx(order, abs=0.3)


@pytest.mark.parametrize("law", ["gaussian", "product-mixture"])
@pytest.mark.parametrize(
    ("schedule", "t_min"), [("rectified", 0.0), ("cosine", 0.0), ("vp-linear", 0.0), ("rectified", 0.001)]
)
def test_rk4_in_the_angle_chart_has_slope_four_through_both_ends(law, schedule, t_min):
    case, sampler = gradbench.case(law, schedule=schedule, t_max=1.0, t_min=t_min), "rk4[chart=angle,grid=angle]"
    coarse, fine = (errors(case, sampler, steps) for steps in (160, 320))
    for target, error in coarse.items():
        assert math.log2(error / fine[target]) == pytest.approx(4, abs=0.3), (target, coarse, fine)


def test_ddim_is_euler_in_the_data_chart_too():
    case = gradbench.case("gaussian")
    a, b = (case.problem(sampler=s, steps=7).sampler_gradient()["x_T"] for s in ("ddim", "euler[chart=data]"))
    assert relative_error(a, b) < 1e-12


@pytest.mark.parametrize("sampler", ["ddim", "euler[chart=data]", "heun[chart=angle]"])
def test_a_chain_reaches_sigma_zero(sampler):
    problem = gradbench.case("gaussian", t_min=0.0).problem(sampler=sampler, steps=400)
    exact = problem.flow(problem, problem.x_T)
    assert relative_error(problem.rollout.sample(problem.x_T).detach(), exact.detach()) < 2e-2


def test_a_chart_that_cannot_reach_sigma_zero_says_which_can():
    with pytest.raises(ValueError, match="the angle chart has"):
        gradbench.case("gaussian", t_min=0.0).problem(sampler="heun[chart=time]")
