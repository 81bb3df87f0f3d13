import math

import pytest

from gradbench.diffusion.discrete import Discrete
from gradbench.diffusion.schedule import SCHEDULES, VariancePreserving, make_schedule

TIMES = (0.001, 0.1, 0.37, 0.8, 1.0)
TABLE = tuple(math.exp(-0.02 - 0.5 * i / 50 - (i / 50) ** 2) for i in range(100))
ALL = [*(make() for make in SCHEDULES.values()), Discrete(TABLE)]
PRESERVING = [schedule for schedule in ALL if isinstance(schedule, VariancePreserving)]


@pytest.mark.parametrize("schedule", PRESERVING, ids=lambda s: s.name)
@pytest.mark.parametrize("t", TIMES)
def test_variance_is_preserved(schedule, t):
    assert schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2 == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: s.name)
@pytest.mark.parametrize("t", TIMES[1:4])
def test_derivatives_match_central_differences(schedule, t):
    h = 1e-5
    for function, derivative in ((schedule.alpha, schedule.dalpha), (schedule.sigma, schedule.dsigma)):
        assert derivative(t) == pytest.approx((function(t + h) - function(t - h)) / (2 * h), rel=2e-6, abs=1e-9)


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: s.name)
@pytest.mark.parametrize("t", TIMES[:4])
def test_t_of_log_snr_inverts_log_snr(schedule, t):
    assert schedule.t_of_log_snr(schedule.log_snr(t)) == pytest.approx(t, rel=1e-11)


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: s.name)
def test_the_clean_end_is_clean(schedule):
    assert schedule.alpha(0.0) == 1.0 and schedule.sigma(0.0) == 0.0 and schedule.log_snr(0.0) == math.inf


@pytest.mark.parametrize("name", ["cosine", "rectified"])
def test_alpha_vanishes_at_the_noisy_end(name):
    schedule = make_schedule(name)
    assert (schedule.alpha(1.0), schedule.sigma(1.0), schedule.log_snr(1.0)) == (0.0, 1.0, -math.inf)


def test_scaled_linear_ends_near_the_table_of_stable_diffusion():
    schedule = make_schedule("scaled-linear")
    assert schedule.sigma(1.0) / schedule.alpha(1.0) == pytest.approx(14.61, rel=0.02)


@pytest.mark.parametrize("given", ["vp-linear[beta_1=10]", {"name": "vp-linear", "beta_1": 10.0}])
def test_constants_of_a_schedule_may_be_given(given):
    assert make_schedule(given).log_alpha(1.0) == pytest.approx(-9.9 / 4 - 0.05)


def test_an_unknown_constant_is_refused():
    with pytest.raises(ValueError, match="unknown option of schedule vp-linear 'beta_2'"):
        make_schedule("vp-linear[beta_2=10]")


def test_unknown_schedule_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'vp-linear'"):
        make_schedule("vp-liner")
