"""Weights of multistep rules: integrals of the polynomial through the slopes that they know."""

import math

import pytest
from scipy.integrate import quad

import gradbench
from gradbench.diffusion.grid import Stop
from gradbench.diffusion.schedule import make_schedule
from gradbench.diffusion.sde_chart import make_chart
from gradbench.samplers.adams import Adams
from gradbench.samplers.base import Interval
from gradbench.samplers.multistep import THREE_M
from gradbench.samplers.unipc import UniPC

TIMES = (0.9, 0.8, 0.65, 0.6, 0.4)  # decreasing; the step goes from the fourth to the fifth


def interval(chart, most_order=None, left=5):
    made = make_chart(chart, make_schedule("vp-linear"))
    earlier = tuple(reversed(TIMES[:2]))
    return Interval(made, TIMES[3], TIMES[4], TIMES[2], None, 3, False, most_order, earlier, left)


def clock(step, t, logarithmic):
    tau = step.chart.tau(t)
    return math.log(tau) if logarithmic else tau


def mean_over(step, polynomial, logarithmic):
    """The integral of a polynomial of the clock over the step in tau, divided by the step's length in tau."""
    start, end = (clock(step, t, logarithmic) for t in (step.t0, step.t1))
    density = math.exp if logarithmic else lambda u: 1.0
    top, bottom = (quad(lambda u, f=f: f(u) * density(u), start, end)[0] for f in (polynomial, lambda u: 1.0))
    return top / bottom


@pytest.mark.parametrize("chart", ["noise", "data"])
@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_adams_integrates_polynomials_of_its_order_exactly(chart, logarithmic, order):
    step, rule = interval(chart), Adams(order, logarithmic)
    weights = rule.weights(step, 4)
    for power in range(order):
        slopes = [clock(step, t, logarithmic) ** power for t in (TIMES[3], TIMES[2], TIMES[1], TIMES[0])]
        found = sum(weight * slope for weight, slope in zip(weights, slopes, strict=False))
        expected = mean_over(step, lambda u, n=power: u**n, logarithmic)
        assert found == pytest.approx(expected, rel=1e-9)


def test_a_scheduler_may_ask_for_a_lower_order():
    assert Adams(3).weights(interval("noise", most_order=1), 3) == (1.0,)
    assert len(Adams(3).weights(interval("noise", most_order=2), 3)) == 2


@pytest.mark.parametrize("solver", ["bh1", "bh2"])
@pytest.mark.parametrize("chart", ["noise", "data"])
def test_unipcs_predictor_of_order_three_integrates_parabolas(chart, solver):
    step = interval(chart)
    weights = UniPC(3, solver)._weights(step, step.past, 3, corrects=False)
    for power in range(3):
        slopes = [clock(step, t, True) ** power for t in (TIMES[3], TIMES[2], TIMES[1])]
        found = weights.start * slopes[0] + sum(w * s for w, s in zip(weights.past, slopes[1:], strict=True))
        assert found == pytest.approx(mean_over(step, lambda u, n=power: u**n, True), rel=1e-9)


@pytest.mark.parametrize("solver", ["bh1", "bh2"])
@pytest.mark.parametrize("order", [2, 3])
def test_unipcs_corrector_integrates_one_power_more(order, solver):
    step = interval("data")
    weights = UniPC(order, solver)._weights(step, step.past, order, corrects=True)
    for power in range(order + 1):
        slopes = [clock(step, t, True) ** power for t in (TIMES[3], *TIMES[2::-1][: order - 1], TIMES[4])]
        found = weights.start * slopes[0] + sum(w * s for w, s in zip(weights.past, slopes[1:-1], strict=True))
        expected = mean_over(step, lambda u, n=power: u**n, True)
        assert found + weights.end * slopes[-1] == pytest.approx(expected, rel=1e-9)


def test_the_published_third_order_formula_has_half_of_the_quadratic_term():
    """What it misses of a parabola is what the exact weight would add once more."""
    step = interval("data")
    (first, second), third = THREE_M._weights(step)
    now = clock(step, TIMES[3], True)
    slopes = [(clock(step, t, True) - now) ** 2 for t in (TIMES[3], TIMES[2], TIMES[1])]
    found = (1 + first) * slopes[0] + second * slopes[1] + third * slopes[2]
    exact = mean_over(step, lambda u: (u - now) ** 2, True)
    assert found == pytest.approx(exact / 2, rel=1e-9)
    for power in range(2):
        slopes = [clock(step, t, True) ** power for t in (TIMES[3], TIMES[2], TIMES[1])]
        line = (1 + first) * slopes[0] + second * slopes[1] + third * slopes[2]
        assert line == pytest.approx(mean_over(step, lambda u, n=power: u**n, True), rel=1e-9)


def test_an_interval_knows_earlier_times_and_the_steps_left():
    problem = gradbench.case("gaussian").problem(sampler="unipc", steps=7)
    grid, step = problem.rollout.grid, problem.rollout.interval(4)
    assert step.past == (grid[3], grid[2], grid[1], grid[0]) and (step.index, step.left) == (4, 3)
    assert problem.rollout.interval(0).past == () and problem.rollout.interval(6).left == 1


def test_unipcs_last_step_is_of_first_order():
    rule = UniPC(3)
    assert [rule._order(k, 6 - k) for k in range(6)] == [1, 2, 3, 3, 2, 1]


def test_a_stop_keeps_what_a_scheduler_says_of_its_step():
    stop = Stop(0.5, most_order=2, stage=17.5)
    assert repr(stop) == "Stop(0.5, most_order=2, stage=17.5)" and not stop.first_order
    assert Stop(0.5, most_order=1).first_order
