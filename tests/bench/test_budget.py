"""A budget of time: which cells are started, what is left, and how the next call resumes."""

import json

import pytest

from gradbench.bench.budget import Budget
from gradbench.bench.plan import make_plan
from gradbench.bench.quantities import parse_seconds
from gradbench.bench.suite import Block
from tests.command_line import gradbench, inside


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def planned(estimators=("checkpoint",), steps=(10,), seeds=(0,), case="gaussian", seconds=None):
    block = Block([case], ["ddim"], list(estimators), steps=list(steps), seeds=list(seeds), seconds=seconds)
    return make_plan([block], 1)


def row(item, took, status="ok"):
    return {**item.cell, "status": status, "wall_s": took}


@pytest.fixture
def clock():
    return Clock()


def test_a_cell_is_started_while_its_predicted_end_lies_inside(clock):
    (item,) = planned()
    budget = Budget(10.0, [row(item, 4.0)], clock)
    assert budget.admits(item)
    clock.now = 6.0
    assert budget.admits(item)
    clock.now = 6.1
    assert not budget.admits(item)


def test_a_longer_cell_is_passed_over_and_a_shorter_one_started(clock):
    short, long = planned(steps=[10, 40])
    budget = Budget(10.0, [row(short, 4.0)], clock)
    assert budget.seconds_of(long) == pytest.approx(16.0)
    assert not budget.admits(long) and budget.admits(short)


def test_the_same_estimator_tells_more_than_another(clock):
    one, other, third = planned(["checkpoint", "backprop", "adjoint-deis"])
    budget = Budget(10.0, [row(one, 4.0), row(other, 1.0)], clock)
    again = planned(["backprop"], seeds=[1])[0]
    assert budget.seconds_of(again) == pytest.approx(1.0)
    assert budget.seconds_of(third) == pytest.approx(2.5)


def test_another_network_tells_nothing(clock):
    (item,) = planned()
    (other,) = planned(case="mixture")
    budget = Budget(10.0, [row(item, 100.0)], clock)
    assert budget.seconds_of(other) == 0.0 and budget.admits(other)


def test_what_a_suite_says_counts_until_a_row_is_there(clock):
    (item,) = planned(seconds=30)
    budget = Budget(10.0, clock=clock)
    assert not budget.admits(item)
    budget.learn(row(planned(seeds=[1])[0], 3.0))
    assert budget.admits(item)


def test_a_skip_takes_no_time(clock):
    (item,) = planned(["reversible"])
    assert item.skip
    clock.now = 100.0
    assert Budget(0.0, clock=lambda: 200.0).admits(item)


def test_nothing_is_started_when_the_time_is_over(clock):
    budget = Budget(10.0, clock=clock)
    clock.now = 10.0
    assert not budget.admits(planned()[0])


@pytest.mark.parametrize("status", ["skip", "lost", "crash"])
def test_a_cell_that_was_cut_short_tells_nothing(clock, status):
    (item,) = planned()
    assert Budget(10.0, [row(item, 4.0, status)], clock).seconds_of(item) == 0.0


def test_a_time_that_is_none_names_the_option():
    with pytest.raises(ValueError, match="--budget must be a time like 90s, 10m or 1h, got 'soon'"):
        parse_seconds("soon", "--budget")


@pytest.mark.slow
def test_what_is_left_is_said_and_the_next_call_goes_on(tmp_path):
    cells = ("-c", "gaussian", "-e", "checkpoint", "--steps", 5, "--seeds", "0-59", "--out", tmp_path / "out")
    first = gradbench("run", *cells, "--budget", "0.1s")
    assert first.returncode == 5
    assert "cells are left, predicted to end after the budget of 0.1 s; resume with: gradbench run" in first.stderr
    status = json.loads(gradbench("status", tmp_path / "out", "--json").stdout)
    assert 0 < status["missing"] < 60 and status["done"] == 60 - status["missing"]
    second = gradbench("run", *cells, "--budget", "5m")
    assert second.returncode == 0
    assert json.loads(gradbench("status", tmp_path / "out", "--json").stdout)["missing"] == 0


def test_a_budget_too_short_for_any_cell_is_no_failure_and_no_report(tmp_path):
    cells = ("-c", "gaussian", "-e", "checkpoint", "--steps", 5, "--out", tmp_path / "out")
    done = gradbench("run", *cells, "--budget", "0.000001s")
    assert (
        done.returncode == 5 and "1 of 1 cells are left" in done.stderr and not (tmp_path / "out/report.html").exists()
    )


@pytest.fixture
def half(tmp_path, monkeypatch):
    """A run with a budget that admits only the cell that fails; its words, its end and its folder."""
    monkeypatch.setattr(Budget, "admits", lambda self, item: ":" in item.cell.estimator)
    cells = ("-c", "gaussian[dim=3]", "-e", "gradbench.testing.faults:Raise", "-e", "checkpoint", "--steps", 2)
    out = tmp_path / "of rows"
    return inside("run", *cells, "--out", out, "--engine", "inline", "--budget", "7m"), out


def test_a_failure_is_named_and_decides_the_exit_code_though_cells_are_left(half):
    done, _ = half
    assert done.returncode == 3
    assert "1 of 1 cells failed: 1 error; see gradbench status" in done.stderr
    assert "1 of 2 cells are left" in done.stderr


def test_the_command_to_go_on_with_is_quoted_for_the_shell(half):
    done, out = half
    quoted = f"-c 'gaussian[dim=3]' -e gradbench.testing.faults:Raise -e checkpoint --steps 2 --out '{out}'"
    assert f"resume with: gradbench run {quoted}" in done.stderr
    assert f"to resume:          gradbench run {quoted}" in inside("status", out).stdout


def test_status_says_that_the_budget_left_cells_out(half):
    _, out = half
    assert "1 of the missing were predicted to end outside the budget of 420 s" in inside("status", out).stdout


def test_the_next_run_forgets_what_the_last_one_left(half, monkeypatch):
    done, out = half
    monkeypatch.undo()
    again = inside(*done.args[1:])
    assert again.returncode == 3 and "are left" not in again.stderr
    assert json.loads(inside("status", out, "--json").stdout)["left"] is None
