"""The table of medians."""

import math

import pytest

from gradbench.analysis.table import table


def row(**columns):
    return {"case": "gaussian", "sampler": "ddim", "steps": 10, "estimator": "backprop", "status": "ok", **columns}


def test_seeds_and_replicates_are_one_line_with_the_median():
    lines = table([row(seed=seed, time_s=time) for seed, time in enumerate((1.0, 9.0, 2.0))])
    assert [(line["time_s"], line["n"], line["n_ok"]) for line in lines] == [(2.0, 3, 3)]


@pytest.mark.parametrize("column", ["steps", "dtype", "device", "machine_class", "case", "sampler"])
def test_what_may_not_be_averaged_stays_apart(column):
    assert len(table([row(), row(**{column: 20 if column == "steps" else "other"})])) == 2


def test_the_status_is_the_worst_of_the_rows():
    lines = table([row(time_s=1.0), row(status="oom", reason="over its limit", time_s=50.0)])
    assert (lines[0]["status"], lines[0]["reason"], lines[0]["n_ok"]) == ("oom", "over its limit", 1)


def test_the_median_leaves_out_rows_that_failed_when_others_did_not():
    assert table([row(time_s=1.0), row(status="timeout", time_s=50.0)])[0]["time_s"] == 1.0


def test_nan_counts_as_the_largest_error():
    assert table([row(flow_error_x_T=value) for value in (math.nan, 0.5, 0.25)])[0]["flow_error_x_T"] == 0.5


def test_a_number_that_no_row_has_is_none():
    assert table([row()])[0]["peak_bytes"] is None


def test_targets_are_joined():
    assert table([row(targets=["x_T", "condition"])])[0]["targets"] == "x_T, condition"


def test_an_empty_row_is_a_lost_cell():
    assert table([{}])[0]["status"] == "lost"
