"""Bias and noise, separated; the numbers are those of a simulated estimator."""

import math
import random

import pytest

from gradbench.analysis.cells import cells
from gradbench.analysis.variance import split

KNOWN = {
    "bias_x_T": -0.5,
    "std_error_x_T": 0.01,
    "snr_x_T": 0.25,
    "bias_norm_x_T": 0.65,
    "expected_norm_ratio_x_T": 0.5,
}
COUNTS = {"draws": 1600, "nfe_forward": 30, "nfe_backward": 10, "estimator": "draft", "status": "ok"}


def cell(**other):
    (found,) = cells([KNOWN | COUNTS | other])
    return found


def test_noise_is_that_of_one_draw_over_the_norm_of_the_expected_gradient():
    assert split(cell(), "x_T").noise == 0.5 / 0.25


def test_the_offset_is_the_distance_less_the_noise_that_all_draws_leave():
    assert split(cell(), "x_T").offset == pytest.approx(math.sqrt(0.65**2 - 2.0**2 / 1600))


def test_a_distance_that_noise_explains_is_no_offset():
    assert split(cell(bias_norm_x_T=0.09), "x_T").offset == 0.0


def test_the_error_for_a_work_is_offset_and_noise_in_squares():
    found = split(cell(), "x_T")
    assert found.rmse(4000) == pytest.approx(math.hypot(found.offset, 2.0 / math.sqrt(100)))


def test_an_estimator_that_does_not_draw_has_no_split():
    assert split(cell(draws=None), "x_T") is None and split(cell(), "condition") is None


def test_the_predicted_error_is_the_simulated_one():
    rng, g, shift, spread, draws = random.Random(0), 2.0, 0.6, 3.0, 64

    def mean(n):
        return sum(rng.gauss(g + shift, spread) for _ in range(n)) / n

    found = split(
        cell(
            bias_norm_x_T=shift / g, snr_x_T=(g + shift) / spread, expected_norm_ratio_x_T=(g + shift) / g, draws=10**6
        ),
        "x_T",
    )
    seen = math.sqrt(sum(((mean(draws) - g) / g) ** 2 for _ in range(4000)) / 4000)
    assert found.rmse(draws * found.nfe) == pytest.approx(seen, rel=0.03)
