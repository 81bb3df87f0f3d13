"""Quartiles and costs of repeated rows."""

import math

import numpy as np
import pytest

from gradbench.analysis.costs import cost
from gradbench.analysis.rows import Spread, spread
from tests.rows import cell, drawn, failed, row


def test_quartiles_are_interpolated_between_neighbours():
    assert spread([4.0, 1.0, 2.0, 3.0]) == Spread(1.75, 2.5, 3.25, 4)


@pytest.mark.parametrize("n", range(1, 9))
def test_quartiles_are_those_of_numpy(n):
    values = np.random.default_rng(n).lognormal(size=n)
    found = spread(values)
    assert [found.low, found.mid, found.high] == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]))


def test_quartiles_of_two_values_lie_between_them():
    """Those of an estimated population would be 0.5 and 3.5."""
    assert spread([1.0, 3.0]) == Spread(1.5, 2.0, 2.5, 2)


def test_values_that_are_missing_or_not_finite_have_no_share():
    assert spread([None, math.nan, math.inf, 2.0]) == Spread(2.0, 2.0, 2.0, 1)
    assert spread([None, math.inf]) is None


def test_time_is_spread_over_the_samples_of_all_rows():
    found = cost(cell(*(row(seed=n, time_s=None, time_samples=t) for n, t in enumerate(([1.0, 2.0], [3.0])))), "time")
    assert found == Spread(1.5, 2.0, 2.5, 3)


def test_the_middle_of_times_is_that_of_the_rows_own():
    """Of 16 random plans a row tells the mean, which is what all draws cost per draw, and not the median."""
    plans = [1.0] * 12 + [9.0] * 4
    found = cost(cell(drawn(time_s=3.0, time_samples=plans, draws=100)), "time")
    assert (found.low, found.mid, found.high) == (100.0, 300.0, 300.0)


def test_time_and_counts_are_of_all_draws_and_memory_is_not():
    noisy = cell(drawn(draws=10, time_s=0.5, nfe=(20, 5, 4), peak_bytes=700))
    found = {kind: cost(noisy, kind) for kind in ("time", "nfe", "vjps", "memory")}
    assert {kind: value.mid for kind, value in found.items()} == {"time": 5, "nfe": 250, "vjps": 40, "memory": 700}


@pytest.mark.parametrize("kind", ["time", "nfe", "vjps", "memory"])
def test_a_cost_that_was_not_measured_is_unknown(kind):
    assert cost(cell(failed(status="ok")), kind) is None


def test_failed_rows_cost_nothing():
    assert cost(cell(failed(time_s=3.0)), "time") is None
