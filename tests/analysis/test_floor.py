"""Errors below the accuracy of their reference are not numbers."""

import math

import pytest

from gradbench.analysis.errors import floor_of, read
from tests.rows import cell, failed, row


def off(error, **columns):
    """A cell that is off by this much from a flow known to 1e-10."""
    return cell(row(flow=error, **{"reference_tol": 1e-10, **columns}))


@pytest.mark.parametrize(
    ("error", "shown", "mark"),
    [(1e-3, 1e-3, "value"), (1e-10, 1e-10, "floor"), (1e-13, 1e-10, "floor"), (0.0, 1e-10, "exact")],
)
def test_an_error_is_shown_no_lower_than_the_floor(error, shown, mark):
    reading = read(off(error), "flow", "x_T")
    assert (reading.shown, reading.mark, reading.error) == (shown, mark, error)


def test_nan_reads_as_not_finite():
    assert read(off(math.nan), "flow", "x_T").mark == "not finite"


def test_without_a_tolerance_the_floor_is_the_rounding_unit():
    assert floor_of(off(0.0, reference_tol=None, dtype="float32"), "flow") == 2.0**-23


def test_an_error_that_was_not_measured_has_no_reading():
    assert read(off(None), "flow", "x_T") is None


def test_a_cell_that_failed_has_no_reading():
    assert read(cell(failed(flow=0.1)), "flow", "x_T") is None


def test_a_reference_with_a_tolerance_of_its_own_has_its_own_floor():
    mine = off(1e-5, reference_tol=1e-3, flow_tol=1e-3, sampler_tol=1e-12)
    assert (floor_of(mine, "flow"), floor_of(mine, "sampler"), floor_of(mine, "expected")) == (1e-3, 1e-12, 1e-3)
