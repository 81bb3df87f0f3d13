import math

import pytest

from gradbench.diffusion.chart import CHARTS, Chart, refuses
from gradbench.diffusion.schedule import SCHEDULES, ends_of, make_schedule
from gradbench.diffusion.sde_chart import SDE_CHARTS, SDEChart, make_chart

PAIRS = [(chart, schedule) for chart in (*CHARTS, *SDE_CHARTS) for schedule in SCHEDULES]
TIMES = (0.01, 0.2, 0.6, 0.95)


@pytest.mark.parametrize(("name", "schedule"), PAIRS)
@pytest.mark.parametrize("t", TIMES)
def test_weights_are_those_of_the_one_formula(name, schedule, t):
    chart = make_chart(name, make_schedule(schedule))
    formula_of = SDEChart.weights if name in SDE_CHARTS else Chart.weights
    for stated, formula in zip(chart.weights(t), formula_of(chart, t), strict=True):
        assert stated == pytest.approx(formula, rel=1e-12, abs=1e-13)  # terms of size sigma / alpha cancel


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
    assert chart.increment(0.7, 0.4) == pytest.approx(chart.kappa(0.4) * (chart.tau(0.4) - chart.tau(0.7)), rel=1e-12)
    assert chart.ratio(0.7, 0.4) == pytest.approx(chart.kappa(0.4) / chart.kappa(0.7), rel=1e-14)


@pytest.mark.parametrize("name", ["noise", "data", "angle"])
def test_a_step_to_sigma_zero_is_finite(name):
    chart = make_chart(name, make_schedule("vp-linear"))
    assert math.isfinite(chart.increment(0.1, 0.0)) and math.isfinite(chart.ratio(0.1, 0.0))
    assert refuses(name, ends_of(chart.schedule, 1.0, 0.0)) is None


@pytest.mark.parametrize("name", ["time", "log-snr"])
def test_a_chart_without_a_value_at_sigma_zero_names_the_one_that_has(name):
    assert "angle" in refuses(name, ends_of(make_schedule("vp-linear"), 1.0, 0.0))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["noise-sde", "data-sde"])
def test_spread_is_the_noise_that_the_sde_adds(name, schedule):
    # y = x / kappa gains variance int g^2 / kappa^2 dt, g^2 = 2 sigma (sigma' - sigma alpha' / alpha)
    s, t0, t1, n = make_schedule(schedule), 0.7, 0.4, 4000
    chart, total = make_chart(name, s), 0.0
    for i in range(n):
        t = t1 + (t0 - t1) * (i + 0.5) / n
        g_squared = 2 * s.sigma(t) * (s.dsigma(t) - s.sigma(t) * s.dalpha(t) / s.alpha(t))
        total += g_squared / chart.kappa(t) ** 2 * (t0 - t1) / n
    assert chart.std(t0, t1) == pytest.approx(chart.kappa(t1) * math.sqrt(total), rel=1e-6)


@pytest.mark.parametrize("name", ["noise", "log-snr", "noise-sde", "time-sde"])
def test_a_chart_without_a_value_at_alpha_zero_names_the_one_that_has(name):
    assert "angle" in refuses(name, ends_of(make_schedule("cosine"), 1.0, 0.1))


def test_the_time_chart_serves_rectified_flow_through_both_ends():
    assert refuses("time", ends_of(make_schedule("rectified"), 1.0, 0.0)) is None


def test_the_noise_chart_is_eps_itself():
    assert make_chart("noise", make_schedule("vp-linear")).weights(0.3) == (0.0, 1.0)


@pytest.mark.parametrize("name", ["noise", "angle", "data", "data-sde"])
def test_t_of_inverts_tau_at_sigma_zero(name):
    chart = make_chart(name, make_schedule("vp-linear"))
    assert chart.t_of(chart.tau(0.0)) == 0.0


@pytest.mark.parametrize("name", ["data", "data-sde"])
def test_t_of_inverts_tau_at_alpha_zero(name):
    chart = make_chart(name, make_schedule("rectified"))
    assert chart.tau(1.0) == 0.0 and chart.t_of(0.0) == 1.0


def test_the_clock_of_data_is_infinite_at_sigma_zero():
    for name in ("data", "data-sde"):
        assert make_chart(name, make_schedule("vp-linear")).tau(0.0) == math.inf


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", SDE_CHARTS)
@pytest.mark.parametrize("t", TIMES)
def test_diffusion_squared_is_the_rate_of_variance(name, schedule, t):
    chart, h = make_chart(name, make_schedule(schedule)), 1e-6
    assert chart.diffusion(t) ** 2 == pytest.approx(chart.variance(t + h, t - h) / (2 * h), rel=1e-3)
