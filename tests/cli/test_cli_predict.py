"""`predict`: peaks of cells that are not run, the cards that hold them, and a reason where there is no peak."""

import json

import pytest

import gradbench as library
from gradbench.estimators.catalogue import make_estimator
from gradbench.measure.cost import held_tensors, peak_memory
from tests.command_line import gradbench

SELECTION = ("predict", "-c", "digits", "-e", "backprop", "-e", "checkpoint", "-e", "torchdiffeq-adjoint", "--steps", 6)


@pytest.fixture(scope="module")
def rows():
    return {row["estimator"]: row for row in json.loads(gradbench(*SELECTION, "--json").stdout)}


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["backprop", "checkpoint"])
def test_the_peak_said_is_the_peak_of_a_real_run(rows, estimator):
    problem = library.case("digits").problem(sampler="ddim", steps=6)
    real = peak_memory(lambda: make_estimator(estimator)(problem), held_tensors(problem), problem.x_T.device)
    assert (rows[estimator]["peak_bytes"], rows[estimator]["baseline_bytes"]) == (real.peak, real.baseline)


@pytest.mark.slow
def test_a_step_more_costs_a_tape_with_backprop_and_a_state_with_checkpoints(rows):
    assert rows["backprop"]["slope_bytes"] == pytest.approx(rows["backprop"]["tape_bytes"], rel=0.01)
    assert rows["checkpoint"]["slope_bytes"] == rows["checkpoint"]["state_bytes"]


@pytest.mark.slow
def test_what_decides_by_values_is_a_row_with_a_reason(rows):
    assert "peak_bytes" not in rows["torchdiffeq-adjoint"]
    assert rows["torchdiffeq-adjoint"]["reason"].endswith("depends on values, which shapes do not have")


def test_the_table_says_peaks_cards_weights_and_how():
    done = gradbench("predict", "-c", "sd-tiny", "-e", "checkpoint", "--steps", 3)
    assert done.returncode == 0
    assert "(random weights, seed 0)" in done.stdout and "equal to a whole run at 2 steps: checkpoint" in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith("checkpoint"))
    assert line.split()[4:] == ["yes"] * 5


def test_an_unknown_case_is_one_line_and_exit_code_2():
    done = gradbench("predict", "-c", "nope", "-e", "backprop")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("gradbench: unknown case 'nope'; ") and done.stderr.count("\n") == 1
