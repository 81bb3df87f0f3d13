"""The tables beside the answer: who is most accurate on every case, and how everyone stands."""

import pytest

from gradbench.analysis.cells import cells
from gradbench.analysis.rankings import ranking, winners
from gradbench.analysis.standings import contests, settings
from tests.rows import MIB, failed, row
from tests.runs import lifelike


def won(*rows):
    return winners(cells(list(rows)))


def test_the_smallest_flow_error_wins():
    found = won(row("backprop", flow=0.2), row("adjoint-deis", flow=0.01), row("spsa", flow=1.0))
    assert [winner.cell.estimator for winner in found] == ["adjoint-deis"]


def test_among_equals_the_fastest_wins_and_the_leanest_is_named():
    winner = won(row("checkpoint", own=1e-12, time_s=2.0), row("backprop", own=0.0, peak_bytes=8 * MIB))[0]
    assert (winner.cell.estimator, winner.leanest.estimator, winner.equals) == ("backprop", "checkpoint", 2)


def test_against_the_sampler_gradient_only_the_largest_number_of_steps_competes():
    found = won(row("spsa", own=0.0, steps=5), row("backprop", own=0.1, steps=40))
    assert found[0].cell.estimator == "backprop"


def test_the_expected_gradient_is_not_told_twice_where_it_is_that_of_the_sampler():
    same = row("backprop", own=0.1, expected=0.1)
    other = row("backprop", own=0.1, expected=0.3)
    assert [winner.reference for winner in won(same)] == ["sampler"]
    assert [winner.reference for winner in won(other)] == ["sampler", "expected"]


def test_an_error_that_is_not_finite_never_wins():
    assert won(row("adjoint-dpm", flow=float("nan"))) == []


def test_a_failed_cell_never_wins():
    assert won(failed("adjoint-dpm", status="diverged", flow=1e-3)) == []


@pytest.fixture(scope="module")
def lines():
    return {line.estimator: line for line in ranking(contests(settings(cells(lifelike()))), "sampler")}


def test_those_that_the_answer_names_come_first(lines):
    assert [line.estimator for line in lines.values() if line.named] == list(lines)[:2] == ["checkpoint", "backprop"]


def test_every_target_that_was_measured_has_a_standing(lines):
    assert list(lines["backprop"].standings) == ["x_T", "condition", "parameters"]


def test_memory_is_over_the_least_of_each_setting(lines):
    assert lines["spsa"].memory == pytest.approx(1.0)
    assert lines["backprop"].memory > lines["checkpoint"].memory > 1.0
