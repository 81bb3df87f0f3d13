"""Bias and noise, taken apart; the numbers are those of a simulated estimator."""

import math
import random

import pytest

from gradbench.analysis.noise import WORK, noise, split
from gradbench.analysis.standings import error_of
from tests.rows import cell, drawn


def test_noise_is_that_of_one_draw_over_the_norm_of_the_expected_gradient():
    assert split(cell(drawn()), "x_T").noise == 0.5 / 0.25


@pytest.mark.parametrize(("ratio", "relative"), [(0.5, 2.0), (1.0, 4.0), (3.0, 12.0), (None, 4.0)])
def test_noise_is_relative_to_the_reference_however_long_the_mean_is(ratio, relative):
    """1/snr, which is relative to the mean, is 4; a row without the ratio has nothing else."""
    assert noise(cell(drawn(ratio=ratio)), "x_T") == relative


def test_noise_is_relative_to_the_reference_that_is_asked_for():
    assert noise(cell(drawn(flow_norm_ratio_x_T=0.1)), "x_T", "flow") == pytest.approx(0.4)


@pytest.mark.parametrize("lacking", [{"draws": None}, {"snr": None}, {"snr": 0.0}, {"snr": math.nan}])
def test_what_drew_nothing_has_no_noise(lacking):
    assert noise(cell(drawn(**lacking)), "x_T") is None


def test_an_error_at_equal_work_has_the_same_noise():
    found = split(cell(drawn()), "x_T")
    assert error_of(cell(drawn(expected=0.65)), "expected", "x_T") == pytest.approx(found.rmse(WORK))


@pytest.mark.parametrize(("std_error", "hidden"), [(0.24, False), (0.25, True)])
def test_a_bias_within_two_standard_errors_is_hidden(std_error, hidden):
    assert split(cell(drawn(std_error=std_error)), "x_T").hidden is hidden


def test_the_offset_is_the_distance_less_the_noise_that_all_draws_leave():
    assert split(cell(drawn()), "x_T").offset == pytest.approx(math.sqrt(0.65**2 - 2.0**2 / 1600))


def test_a_distance_that_noise_explains_is_no_offset():
    assert split(cell(drawn(distance=0.09)), "x_T").offset == 0.0


def test_the_error_for_a_work_is_offset_and_noise_in_squares():
    found = split(cell(drawn()), "x_T")
    assert found.rmse(4000) == pytest.approx(math.hypot(found.offset, 2.0 / math.sqrt(100)))


def test_an_estimator_that_does_not_draw_has_no_split():
    assert split(cell(drawn(draws=None)), "x_T") is None and split(cell(drawn()), "condition") is None


def test_the_predicted_error_is_the_simulated_one():
    rng, g, shift, spread, draws = random.Random(0), 2.0, 0.6, 3.0, 64

    def mean(n):
        return sum(rng.gauss(g + shift, spread) for _ in range(n)) / n

    found = split(
        cell(drawn(distance=shift / g, snr=(g + shift) / spread, ratio=(g + shift) / g, draws=10**6)),
        "x_T",
    )
    seen = math.sqrt(sum(((mean(draws) - g) / g) ** 2 for _ in range(4000)) / 4000)
    assert found.rmse(draws * found.nfe) == pytest.approx(seen, rel=0.03)
