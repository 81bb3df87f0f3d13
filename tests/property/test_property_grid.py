"""Grids and schedules over random constants and time ranges."""

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from leaves import examples

from gradbench.diffusion.grid import GRIDS, make_grid
from gradbench.diffusion.schedule import VariancePreserving, make_schedule
from gradbench.testing.strategies import numbers, schedules, spans

DISCRETE = ("leading", "trailing", "linspace")


@pytest.mark.parametrize("name", [g for g in GRIDS if g not in DISCRETE])
@examples(40)
@given(spans(), st.integers(1, 400))
def test_a_grid_decreases_strictly_between_its_exact_ends(name, span, steps):
    grid = make_grid(name, span.made, steps, span.t_max, span.t_min)
    assert len(grid) == steps + 1 and (grid[0], grid[-1]) == (span.t_max, span.t_min)
    assert all(a > b for a, b in itertools.pairwise(grid))


@pytest.mark.parametrize("name", DISCRETE)
@examples(40)
@given(schedules(names=("vp-linear", "scaled-linear", "cosine")), st.integers(1, 999), numbers(0, 0.001))
def test_a_discrete_grid_decreases_strictly_over_trained_times(name, schedule, steps, t_min):
    assume(name != "linspace" or t_min < 0.001)  # its last index may be 0, that of t = 0.001
    made = make_schedule(schedule)
    try:
        grid = make_grid(name, made, steps, 1.0, t_min)
    except ValueError as refusal:
        assert "t_min must be less than the last time" in str(refusal)
        return
    assert len(grid) == steps + 1 and grid[-1] == t_min and grid[0] <= made.t_end
    assert all(a > b for a, b in itertools.pairwise(grid))
    assert all(1000 * t == pytest.approx(round(1000 * t), abs=1e-9) for t in grid[:-1])


@examples(40)
@given(schedules(), numbers(0, 1), numbers(0, 1))
def test_log_snr_decreases_and_alpha_and_sigma_agree_with_it(schedule, one, two):
    assume(one != two)
    made = make_schedule(schedule)
    early, late = sorted((one * made.t_end, two * made.t_end))
    assert made.log_snr(early) > made.log_snr(late)
    alpha, sigma = made.alpha(late), made.sigma(late)
    if alpha > 0:
        assert made.log_snr(late) == pytest.approx(math.log(alpha / sigma), rel=1e-13, abs=1e-13)
    if isinstance(made, VariancePreserving):
        assert alpha**2 + sigma**2 == pytest.approx(1, abs=2e-15)  # each good to 4 eps


@examples(40)
@given(schedules(names=("vp-linear", "scaled-linear", "ve", "rectified")), numbers(0.001, 1))
def test_t_of_log_snr_is_the_inverse_up_to_conditioning(schedule, place):
    made = make_schedule(schedule)
    t = place * made.t_end
    assume(made.alpha(t) > 0)
    value = made.log_snr(t)
    # dt = d lambda / lambda'(t), lambda' = alpha'/alpha - sigma'/sigma, for the rounding of lambda; and that of t
    slope = made.dalpha(t) / made.alpha(t) - made.dsigma(t) / made.sigma(t)
    allowed = 8 * 2.2e-16 * (t + (1 + abs(value)) / abs(slope))
    assert abs(made.t_of_log_snr(value) - t) <= allowed


def test_a_constant_scaled_linear_schedule_has_an_inverse():
    made = make_schedule("scaled-linear[beta_start=0.01,beta_end=0.01]")
    assert made.t_of_log_snr(made.log_snr(0.5)) == pytest.approx(0.5, rel=1e-13)


@pytest.mark.parametrize("name", ["linspace", "leading"])
def test_a_grid_that_would_repeat_or_overstep_its_discrete_times_is_refused(name):
    with pytest.raises(ValueError, match="steps must be fewer on this grid of 1000 discrete times, got 1000"):
        make_grid(name, make_schedule("scaled-linear"), 1000, 1.0, 0.0005)
