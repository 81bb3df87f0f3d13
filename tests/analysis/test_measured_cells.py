"""Cells: repeats of one measurement, the table of medians, and the command that measures it again."""

import math
import shlex

import pytest

from gradbench import selector
from gradbench.analysis.cells import table
from tests.rows import cell, failed, row

AGAIN = row(
    "adjoint-dpm", 20, case_params={"dim": 6}, sampler="rk4", sampler_params={"chart": "noise"},
    options={"rule": "rk4", "shared": None}, targets=("x_T", "condition"), seed=3,
)  # fmt: skip


def test_seeds_and_replicates_are_one_line_with_the_median():
    lines = table([row(seed=seed, time_s=time) for seed, time in enumerate((1.0, 9.0, 2.0))])
    assert [(line["time_s"], line["n"], line["n_ok"]) for line in lines] == [(2.0, 3, 3)]


@pytest.mark.parametrize("column", ["steps", "dtype", "device", "machine_class", "case", "sampler"])
def test_what_may_not_be_averaged_stays_apart(column):
    assert len(table([row(), row(**{column: 20 if column == "steps" else "other"})])) == 2


def test_the_status_is_the_worst_of_the_rows():
    lines = table([row(time_s=1.0), failed(reason="over its limit", time_s=50.0)])
    assert (lines[0]["status"], lines[0]["reason"], lines[0]["n_ok"]) == ("oom", "over its limit", 1)


def test_the_median_leaves_out_rows_that_failed_when_others_did_not():
    assert table([row(time_s=1.0), failed(status="timeout", time_s=50.0)])[0]["time_s"] == 1.0


def test_nan_counts_as_the_largest_error():
    assert table([row(flow=value) for value in (math.nan, 0.5, 0.25)])[0]["flow_error_x_T"] == 0.5


def test_a_number_that_no_row_has_is_none():
    assert table([row(peak_bytes=None)])[0]["peak_bytes"] is None


def test_targets_are_joined():
    assert table([row(targets=["x_T", "condition"])])[0]["targets"] == "x_T, condition"


def test_an_empty_row_is_a_lost_cell():
    assert table([{}])[0]["status"] == "lost"


def test_every_option_of_the_cell_is_written_out():
    assert cell(AGAIN).command == (
        "gradbench run -c 'gaussian[dim=6]' --sampler 'rk4[chart=noise]' -e 'adjoint-dpm[rule=rk4,shared=none]' "
        "--steps 20 --target x_T --target condition --seeds 3 --dtype float64 --device cpu"
    )


def test_seeds_and_replicates_are_ranges():
    rows = [AGAIN | {"seed": seed, "replicate": replicate} for seed in (0, 1, 2, 5) for replicate in (0, 1)]
    assert "--seeds 0-2,5 --replicates 2" in cell(*rows).command


def test_a_list_as_a_value_reads_back_as_one_selector():
    words = shlex.split(cell(AGAIN | {"case_params": {"target": [1, 2]}}).command)
    assert selector.expand(words[words.index("-c") + 1]) == [("gaussian", {"target": [1, 2]})]


def test_a_name_cannot_leave_its_word_in_the_shell():
    words = shlex.split(cell(AGAIN | {"case": "x; rm -rf /", "case_params": {}}).command)
    assert words[words.index("-c") + 1] == "x; rm -rf /"
