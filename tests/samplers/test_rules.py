"""What rules state about themselves: tableaus meet their conditions, `stages` and `order` are what they say."""

import json
from math import prod
from pathlib import Path

import pytest
import torch

import gradbench
from gradbench.diffusion.schedule import make_schedule
from gradbench.diffusion.sde_chart import make_chart
from gradbench.samplers.base import Interval
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.samplers.runge_kutta import DOPRI5, EULER, HEUN, MIDPOINT, RK4
from gradbench.samplers.spec import sampler_spec

TABLEAUS = {"euler": EULER, "midpoint": MIDPOINT, "heun": HEUN, "rk4": RK4, "dopri5": DOPRI5}
ENTRIES = json.loads((Path(__file__).parents[1] / "golden" / "index.json").read_text())["entries"]
ONE_EACH = {entry["sampler"]: entry for entry in ENTRIES if entry["kind"] == "sampler"}


def trees(order):
    """Rooted trees of that many nodes, each as the sorted tuple of its root's subtrees."""
    if order == 1:
        return {()}
    grown = set()
    for smaller in trees(order - 1):
        grown.add(tuple(sorted((*smaller, ()))))
        for i, child in enumerate(smaller):
            rest = smaller[:i] + smaller[i + 1 :]
            grown |= {tuple(sorted((*rest, new))) for new in trees(size(child) + 1)}
    return grown


def size(tree):
    return 1 + sum(map(size, tree))


def density(tree):
    return size(tree) * prod(map(density, tree))


def stage_weights(tree, matrix):
    """Of each stage, the product over the root's subtrees of sum_j a_ij (what the subtree gives at stage j)."""
    below = [stage_weights(child, matrix) for child in tree]
    return [prod(sum(a * w for a, w in zip(row, values, strict=False)) for values in below) for row in matrix]


def order_errors(rule, weights, order):
    """|sum_i b_i Phi_i(tree) - 1 / density(tree)| of every tree up to the order: Butcher's conditions."""
    for n in range(1, order + 1):
        for tree in trees(n):
            found = sum(b * phi for b, phi in zip(weights, stage_weights(tree, rule.matrix), strict=True))
            yield abs(found - 1 / density(tree))


def test_there_are_1_1_2_4_9_trees():
    assert [len(trees(n)) for n in range(1, 6)] == [1, 1, 2, 4, 9]


@pytest.mark.parametrize("name", TABLEAUS)
def test_a_tableau_meets_the_conditions_of_its_order_and_no_more(name):
    rule = TABLEAUS[name]
    assert max(order_errors(rule, rule.weights, rule.order)) < 1e-14
    assert max(order_errors(rule, rule.weights, rule.order + 1)) > 1e-5


def test_the_embedded_solution_is_of_one_order_less():
    assert max(order_errors(DOPRI5, DOPRI5.embedded, 4)) < 1e-14
    assert max(order_errors(DOPRI5, DOPRI5.embedded, 5)) > 1e-5


@pytest.mark.parametrize("name", TABLEAUS)
def test_nodes_are_the_sums_of_the_rows(name):
    rule = TABLEAUS[name]
    assert [sum(row) for row in rule.matrix] == pytest.approx(rule.nodes, abs=1e-14)


@pytest.mark.parametrize("name", SAMPLERS)
def test_stages_are_the_evaluations_of_a_step(name):
    schedule = "rectified" if name in ("flow-euler", "flow-sde", "churn") else "vp-linear"
    problem = gradbench.case("gaussian", schedule=schedule, dim=3, batch=2).problem(sampler=name, steps=4)
    rollout = problem.rollout
    times, state = [], rollout.start(problem.x_T)

    def field(t, x):
        times.append(t)
        return rollout.field(t, x)

    for k in range(2):
        times.clear()
        state = rollout.rule.step(field, state, rollout.interval(k))
    assert len(times) == (1 if name == "pndm" else rollout.rule.stages)  # PLMS has two in its first step alone


@pytest.mark.parametrize("name", ONE_EACH)
def test_the_order_stated_is_the_golden_one(name):
    assert sampler_spec(name).rule.order == ONE_EACH[name].get("order", 1)


@pytest.mark.parametrize(
    "name", ["ddpm", "ddpm[variance=large]", "ddim[eta=0.5]", "sde-dpm++1", "flow-sde", "dance-sde", "cps", "churn"]
)
def test_log_prob_is_the_normal_density_of_the_transition(name):
    schedule = "rectified" if name in ("flow-sde", "churn") else "scaled-linear"
    problem = gradbench.case("gaussian", schedule=schedule, dim=3, batch=2).problem(sampler=name, steps=5)
    rollout, state, interval = problem.rollout, (problem.x_T,), problem.rollout.interval(2)

    def images(t, x):
        return t * x

    for field, held in ((rollout.field, state), (images, (torch.ones(2, 3, 4, 5).double(),))):
        (mean,), std = rollout.rule.transition(field, held, interval)
        point = mean + 0.3
        expected = torch.distributions.Normal(mean, std).log_prob(point).flatten(1).sum(1)
        assert torch.allclose(rollout.rule.log_prob(field, held, interval, point), expected, rtol=1e-12)


@pytest.mark.parametrize("variance", ["small", "large"])
def test_the_noise_of_ddpm_has_the_published_variance(variance):
    # Ho et al., 2020, section 3.2: beta = 1 - a_0^2 / a_1^2, and the posterior's (1 - a_1^2) / (1 - a_0^2) beta
    problem = gradbench.case("gaussian", schedule="scaled-linear").problem(
        sampler=f"ddpm[variance={variance}]", steps=5
    )
    rule, interval = problem.rollout.rule, problem.rollout.interval(2)
    a_0, a_1 = (interval.chart.schedule.alpha(t) for t in (interval.t0, interval.t1))
    beta = 1 - (a_0 / a_1) ** 2
    expected = beta if variance == "large" else (1 - a_1**2) / (1 - a_0**2) * beta
    assert rule.std(interval) ** 2 == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["noise", "data", "angle"])
def test_the_ends_of_an_interval_are_its_times_bit_for_bit_through_sigma_zero(name):
    chart = make_chart(name, make_schedule("vp-linear"))
    for k in range(20):
        interval = Interval(chart, (k + 1) / 20, k / 20)
        assert (interval.time(0.0), interval.time(1.0)) == (interval.t0, interval.t1)
        assert interval.increment() == chart.increment(interval.t0, interval.t1)


def test_the_last_step_of_dpmpp_2m_to_sigma_zero_is_of_first_order():
    case = gradbench.case("gaussian", schedule="vp-linear", t_min=0.0)
    rollout = case.problem(sampler="dpm++2m", steps=4).rollout
    last = rollout.interval(3)
    x, slope = torch.full((2, 6), 0.3).double(), torch.ones(2, 6).double()
    (end, _) = rollout.rule.step(lambda t, x: slope, (x, 7 * slope), last)
    assert torch.allclose(end, x * last.ratio() + last.increment() * slope, rtol=1e-14)


def test_a_point_is_carried_with_the_scale():
    interval = Interval(make_chart("data", make_schedule("rectified")), 0.25, 0.5)  # kappa = t
    assert interval.carry(torch.ones(1)).item() == 2.0
    assert interval.reversed.carry(torch.ones(1)).item() == 0.5
    assert interval.carry(torch.ones(1), 0.0).item() == 1.0
