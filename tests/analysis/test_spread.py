"""Quartiles and costs of repeated rows."""

import math

import numpy as np
import pytest

from gradbench.analysis.cells import cells
from gradbench.analysis.costs import cost
from gradbench.analysis.spread import Spread, spread

ROW = {"estimator": "a", "status": "ok"}


def cell(*rows):
    (found,) = cells([ROW | row for row in rows])
    return found


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
    found = cost(cell({"time_samples": [1.0, 2.0], "seed": 0}, {"time_samples": [3.0], "seed": 1}), "time")
    assert found == Spread(1.5, 2.0, 2.5, 3)


def test_time_and_counts_are_of_all_draws_and_memory_is_not():
    drawn = cell({"draws": 10, "time_s": 0.5, "nfe_forward": 20, "nfe_backward": 5, "vjps": 4, "peak_bytes": 700})
    found = {kind: cost(drawn, kind) for kind in ("time", "nfe", "vjps", "memory")}
    assert {kind: value.mid for kind, value in found.items()} == {"time": 5, "nfe": 250, "vjps": 40, "memory": 700}


@pytest.mark.parametrize("kind", ["time", "nfe", "vjps", "memory"])
def test_a_cost_that_was_not_measured_is_unknown(kind):
    assert cost(cell({}), kind) is None


def test_failed_rows_cost_nothing():
    assert cost(cell({"status": "oom", "time_s": 3.0}), "time") is None
