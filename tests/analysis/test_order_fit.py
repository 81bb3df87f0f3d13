"""Fitted powers and orders."""

import math

import pytest

from gradbench.analysis.errors import fit_order, fit_power

STEPS = [5, 10, 20, 40]


@pytest.mark.parametrize("slope", [-3.0, -1.0, 0.0, 0.5])
def test_a_power_law_gives_its_own_power_and_factor(slope):
    fit = fit_power(STEPS, [0.7 * n**slope for n in STEPS])
    assert (fit.slope, fit.factor, fit.points) == (pytest.approx(slope, abs=1e-12), pytest.approx(0.7), 4)
    assert fit.high - fit.low < 1e-10 and fit.at(20) == pytest.approx(0.7 * 20**slope)


def test_the_interval_is_that_of_students_t():
    # log2 x = 0, 1, 2, 3 and log2 y off a line of slope -1 by +1, -1, -1, +1: residual square 4, t_{0.975}(2) = 4.3027
    fit = fit_power([1, 2, 4, 8], [2.0, 0.25, 0.125, 0.25])
    assert fit.slope == pytest.approx(-1.0)
    assert fit.high - fit.slope == pytest.approx(4.302653 * math.sqrt(4 / 2 / 5), rel=1e-6)


def test_two_points_have_no_interval_and_one_has_no_slope():
    assert fit_power([5, 10], [0.2, 0.1]).low == -math.inf
    assert fit_power([5, 5], [0.2, 0.1]) is None


def test_errors_at_the_floor_or_above_one_tell_no_order():
    fit = fit_order([1, *STEPS, 80, 160], [40.0, *(0.5 / n**2 for n in STEPS), 1e-4, 1e-4], floor=1e-4)
    assert (fit.slope, fit.points) == (pytest.approx(-2.0), 4)
