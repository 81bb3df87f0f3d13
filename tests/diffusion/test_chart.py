import math

import pytest

from gradbench.diffusion.chart import CHARTS, Chart, make_chart, refuses
from gradbench.diffusion.schedule import SCHEDULES, make_schedule

PAIRS = [(chart, schedule) for chart in CHARTS for schedule in SCHEDULES]
TIMES = (0.01, 0.2, 0.6, 0.95)


@pytest.mark.parametrize(("name", "schedule"), PAIRS)
@pytest.mark.parametrize("t", TIMES)
def test_weights_are_those_of_the_one_formula(name, schedule, t):
    chart = make_chart(name, make_schedule(schedule))
    for stated, formula in zip(chart.weights(t), Chart.weights(chart, t), strict=True):
        assert stated == pytest.approx(formula, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(("name", "schedule"), PAIRS)
@pytest.mark.parametrize("t", TIMES)
def test_pace_and_scale_match_central_differences(name, schedule, t):
    chart, h = make_chart(name, make_schedule(schedule)), 1e-6
    slope = (chart.tau(t + h) - chart.tau(t - h)) / (2 * h)
    assert chart.pace(t) == pytest.approx(chart.kappa(t) ** 2 * slope, rel=1e-7)
    assert chart.dkappa(t) == pytest.approx((chart.kappa(t + h) - chart.kappa(t - h)) / (2 * h), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize(("name", "schedule"), PAIRS)
@pytest.mark.parametrize("t", TIMES)
def test_t_of_inverts_tau(name, schedule, t):
    chart = make_chart(name, make_schedule(schedule))
    assert chart.t_of(chart.tau(t)) == pytest.approx(t, rel=1e-11)


@pytest.mark.parametrize(("name", "schedule"), PAIRS)
def test_reach_is_the_scaled_clock(name, schedule):
    chart = make_chart(name, make_schedule(schedule))
    assert chart.reach(0.7, 0.4) == pytest.approx(chart.kappa(0.4) * (chart.tau(0.4) - chart.tau(0.7)), rel=1e-12)
    assert chart.ratio(0.7, 0.4) == pytest.approx(chart.kappa(0.4) / chart.kappa(0.7), rel=1e-14)


@pytest.mark.parametrize("name", ["noise", "data", "angle"])
def test_a_step_to_sigma_zero_is_finite(name):
    chart = make_chart(name, make_schedule("vp-linear"))
    assert math.isfinite(chart.reach(0.1, 0.0)) and math.isfinite(chart.ratio(0.1, 0.0))
    assert refuses(name, chart.schedule, 1.0, 0.0) is None


@pytest.mark.parametrize("name", ["time", "log-snr"])
def test_a_chart_without_a_value_at_sigma_zero_names_the_one_that_has(name):
    assert "angle" in refuses(name, make_schedule("vp-linear"), 1.0, 0.0)


def test_the_noise_chart_is_eps_itself():
    assert make_chart("noise", make_schedule("vp-linear")).weights(0.3) == (0.0, 1.0)
