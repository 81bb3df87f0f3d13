"""The most accurate estimator of every case is the right one."""

from rows import MIB, row

from gradbench.analysis.cells import cells
from gradbench.analysis.winners import winners


def won(*rows):
    return winners(cells(list(rows)))


def test_the_smallest_flow_error_wins():
    found = won(row("backprop", flow=0.2), row("adjoint-deis", flow=0.01), row("spsa", flow=1.0))
    assert [winner.cell.estimator for winner in found] == ["adjoint-deis"]


def test_among_equals_the_fastest_wins_and_the_leanest_is_named():
    winner = won(row("checkpoint", sampler=1e-12, time_s=2.0), row("backprop", sampler=0.0, peak=8 * MIB))[0]
    assert (winner.cell.estimator, winner.leanest.estimator, winner.equals) == ("backprop", "checkpoint", 2)


def test_against_the_sampler_gradient_only_the_largest_number_of_steps_competes():
    found = won(row("spsa", sampler=0.0, steps=5), row("backprop", sampler=0.1, steps=40))
    assert found[0].cell.estimator == "backprop"


def test_the_expected_gradient_is_not_told_twice_where_it_is_that_of_the_sampler():
    same = row("backprop", sampler=0.1, expected_error_x_T=0.1)
    other = row("backprop", sampler=0.1, expected_error_x_T=0.3)
    assert [winner.reference for winner in won(same)] == ["sampler"]
    assert [winner.reference for winner in won(other)] == ["sampler", "expected"]


def test_an_error_that_is_not_finite_never_wins():
    assert won(row("adjoint-dpm", flow=float("nan"))) == []


def test_a_failed_cell_never_wins():
    assert won(row("adjoint-dpm", flow=1e-3, status="diverged")) == []
