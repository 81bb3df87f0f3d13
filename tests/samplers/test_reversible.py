"""Reversible rules: round trips, orders, and where rounding errors grow."""

import math

import pytest
import torch

import gradbench
from gradbench.diffusion.chart import TimeChart
from gradbench.diffusion.schedule import make_schedule
from gradbench.measure.error import relative_error
from gradbench.samplers.base import Interval
from gradbench.samplers.reversible import BASES, McCallumFoster, rex

REVERSIBLE = (
    "reversible-heun",
    "edict",
    "bdia",
    "belm",
    "rex",
    "rex[rule=rk4,chart=angle]",
    "rex[rule=heun,chart=angle]",
)
REX_SDE = ("rex[chart=log-snr-sde]", "rex[chart=time-sde,rule=midpoint]", "rex[chart=noise-sde,rule=heun]")


def round_trip(problem, dtype=torch.float64):
    """Relative distance of x_T from what the inverse makes of the last state."""
    rollout = problem.to(dtype).rollout
    x_T = problem.x_T.to(dtype)
    with torch.no_grad():
        state = rollout.start(x_T)
        for k in range(rollout.steps):
            state = rollout.step(k, state)
        for k in reversed(range(rollout.steps)):
            state = rollout.rule.inverse(rollout.field, state, rollout.interval(k))
    return max(relative_error(s, x_T) for s in state)


@pytest.mark.parametrize("sampler", REVERSIBLE + REX_SDE)
@pytest.mark.parametrize("law", ["gaussian", "mixture", "product-mixture"])
@pytest.mark.parametrize("steps", [1, 2, 20, 100])
def test_the_inverse_leads_back_to_x_T(law, sampler, steps):
    case = gradbench.case(law, schedule="scaled-linear")
    assert round_trip(case.problem(sampler=sampler, steps=steps)) < 1e-10


@pytest.mark.parametrize(
    ("sampler", "base"), [("bdia[gamma=0.5]", 0.5), ("rex[zeta=0.5]", 0.5), ("rex[zeta=0.25]", 0.25)]
)
def test_rounding_errors_of_the_inverse_grow_like_the_power_of_the_coupling(sampler, base):
    case = gradbench.case("gaussian", schedule="scaled-linear")
    errors = [round_trip(case.problem(sampler=sampler, steps=n)) for n in (10, 20, 30)]
    for few, many in zip(errors, errors[1:], strict=False):
        assert math.log(many / few) / 10 == pytest.approx(-math.log(base), rel=0.25)


def test_edict_loses_its_copies_like_p_to_the_minus_2N():
    case = gradbench.case("gaussian", schedule="scaled-linear")
    errors = [round_trip(case.problem(sampler="edict[p=0.7]", steps=n)) for n in (12, 24, 36)]
    for few, many in zip(errors, errors[1:], strict=False):
        assert math.log(many / few) / 12 == pytest.approx(-2 * math.log(0.7), rel=0.3)


@pytest.mark.parametrize(("sampler", "order"), [("belm", 2), ("bdia", 2), ("reversible-heun[chart=time]", 2)])
def test_two_step_rules_have_their_order_on_a_uniform_clock(sampler, order):
    case, found = gradbench.case("gaussian", schedule="scaled-linear", t_max=0.7), []
    name = f"{sampler[:-1]},grid=karras]" if "[" in sampler else f"{sampler}[grid=uniform-log-snr]"
    for steps in (160, 320):
        problem = case.problem(sampler=name, steps=steps)
        found.append(relative_error(problem.sampler_gradient()["x_T"], problem.flow_gradient()["x_T"]))
    assert math.log2(found[0] / found[1]) > order - 0.3


def decay(rule, rate, steps, t_end=4.0):
    """|y| after `steps` steps of y' = -rate y from 1, by a rule in plain time run upwards."""
    chart, state = TimeChart(make_schedule("rectified")), None
    state = rule.start(None, torch.ones(1, 1, dtype=torch.float64))
    for k in range(steps):
        interval = Interval(chart, t_end * k / steps, t_end * (k + 1) / steps)
        state = rule.step(lambda t, y: -rate * y, state, interval)
    return state[0].abs().item()


@pytest.mark.parametrize(
    ("base", "zeta", "limit"),
    [("euler", 0.9, 0.10), ("euler", 0.5, 0.50), ("euler", 0.1, 0.90), ("midpoint", 0.5, 2.16), ("rk4", 0.1, 2.17)],
)
def test_rex_is_stable_on_the_stated_interval_only(base, zeta, limit):
    rule = McCallumFoster(BASES[base], zeta)
    assert decay(rule, 0.95 * limit, 4000, t_end=4000.0) < 1.0
    assert not decay(rule, 1.05 * limit, 4000, t_end=4000.0) < 1e3  # nan where it overflows


@pytest.mark.parametrize(("base", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)])
def test_the_wrapper_keeps_the_order_of_its_base(base, order):
    chart = TimeChart(make_schedule("rectified"))

    def error(steps, end=1.5):
        rule, state = rex(base, 0.5), (torch.ones(1, 1, dtype=torch.float64),) * 2
        for k in range(steps):
            interval = Interval(chart, end * k / steps, end * (k + 1) / steps)
            state = rule.step(lambda t, y: -y + math.sin(3 * t), state, interval)
        exact = math.exp(-end) * 1.3 + (math.sin(3 * end) - 3 * math.cos(3 * end)) / 10
        return abs(state[0].item() - exact)

    assert math.log2(error(160) / error(320)) == pytest.approx(order, abs=0.35)


def test_rex_without_coupling_is_driven_by_the_path_both_ways():
    problem = gradbench.case("gaussian", schedule="scaled-linear").problem(sampler="rex[chart=log-snr-sde]", steps=10)
    rollout, interval = problem.rollout, problem.rollout.interval(4)
    state = (problem.x_T, problem.x_T + 0.1)
    with torch.no_grad():
        back = rollout.rule.inverse(rollout.field, rollout.step(4, state), interval)
    assert all(relative_error(b, s) < 1e-13 for b, s in zip(back, state, strict=True))


def test_rex_steps_from_equal_copies_as_its_base_does_on_the_same_noise():
    case = gradbench.case("gaussian", schedule="scaled-linear")
    a = case.problem(sampler="rex[chart=data-sde]", steps=10)
    b = case.problem(sampler="sde-dpm++1", steps=10)
    first, second = a.rollout.step(0, (a.x_T, a.x_T))[0], b.rollout.step(0, (b.x_T,))[0]
    assert relative_error(first.detach(), second.detach()) < 1e-13


@pytest.mark.parametrize("selector", ["rex[zeta=0]", "rex[zeta=1.5]", "edict[p=0]", "bdia[gamma=-1]", "rex[rule=ab2]"])
def test_options_out_of_range_are_refused(selector):
    with pytest.raises(ValueError, match="zeta|gamma|rule|p "):
        gradbench.case("gaussian").problem(sampler=selector)


def test_rex_in_the_data_chart_cannot_start_from_sigma_zero():
    with pytest.raises(ValueError, match="raise t_min"):
        gradbench.case("gaussian", t_min=0.0).problem(sampler="rex")
