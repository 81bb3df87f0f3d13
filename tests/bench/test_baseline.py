"""The committed baseline: what it holds, what it must not hold, and which suites it serves."""

import json

import pytest

from gradbench.bench.cell import Cell
from gradbench.bench.load import load_rows
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import load_suite
from gradbench.compare.baseline import KEPT, write_baseline
from tests.bench.helpers import ROOT

BASELINE = ROOT / "results" / "baselines" / "ci.jsonl"
ROWS = [json.loads(line) for line in BASELINE.read_text().splitlines()]


def test_the_baseline_holds_the_ci_suite_to_the_cell():
    assert {row["cell_id"] for row in ROWS} == {item.cell["cell_id"] for item in make_plan(load_suite("ci").blocks, 1)}


def test_the_pull_suite_is_a_part_of_the_ci_suite():
    pull = {item.cell["cell_id"] for item in make_plan(load_suite("pull").blocks, 1)}
    assert pull < {row["cell_id"] for row in ROWS}


def test_the_pull_suite_has_every_case_and_family_of_the_ci_suite():
    for name in ("case", "estimator", "sampler"):
        suites = [{item.cell[name] for item in make_plan(load_suite(s).blocks, 1)} for s in ("pull", "ci")]
        assert suites[0] == suites[1], name


def test_a_baseline_says_nothing_of_times_and_machines():
    machine = ("time", "calibration", "machine", "cpu", "gpu", "load", "threads", "started", "run_id", "os_peak")
    assert not [column for row in ROWS for column in row if column.startswith(machine)]


def test_no_cell_of_the_baseline_failed():
    assert {row["status"] for row in ROWS} == {"ok", "skip"}


def test_an_identity_of_the_baseline_hashes_to_its_cell_id():
    assert all(Cell.of(row).id == row["cell_id"] for row in ROWS)


def test_writing_what_was_read_changes_no_byte(tmp_path):
    assert write_baseline(load_rows(BASELINE), tmp_path / "ci.jsonl") == len(ROWS)
    assert (tmp_path / "ci.jsonl").read_bytes() == BASELINE.read_bytes()


def test_of_several_processes_the_first_is_kept_with_nine_digits(tmp_path):
    row = {**ROWS[0], "grad_norm_x_T": 0.12345678912345, "time_s": 1.0, "machine_class": "mine"}
    assert write_baseline([{**row, "replicate": 1, "vjps": 7}, {**row, "replicate": 0}], tmp_path / "b.jsonl") == 1
    (line,) = (tmp_path / "b.jsonl").read_text().splitlines()
    assert json.loads(line)["grad_norm_x_T"] == 0.123456789 and json.loads(line)["vjps"] == ROWS[0]["vjps"]
    assert set(json.loads(line)) <= set(KEPT)


def test_a_baseline_is_a_file_of_lines(tmp_path):
    with pytest.raises(ValueError, match=r"a baseline is a \.jsonl file"):
        write_baseline([], tmp_path / "baseline.parquet")
