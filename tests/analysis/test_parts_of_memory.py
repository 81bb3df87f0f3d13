"""A peak taken apart."""

import pytest

from gradbench.analysis.costs import held, parts
from gradbench.measure.cards import card_for
from tests.rows import cell, failed, row


def sized(estimator="checkpoint", peak=5000, **options):
    sizes = {"peak_bytes": peak, "state_bytes": 100, "tape_bytes": 3000, "baseline_bytes": 50}
    return cell(row(estimator, 10, options=options, **sizes))


@pytest.mark.parametrize("peak", [5000, 3500, 2000, 100])
def test_parts_sum_to_the_peak_and_none_is_negative(peak):
    found = parts(sized(peak=peak))
    assert found.states + found.tape + found.rest == found.peak == peak
    assert min(found.states, found.tape, found.rest) >= 0


def test_parts_are_states_times_steps_one_tape_and_the_rest():
    found = parts(sized())
    assert (found.states, found.tape, found.rest, found.total) == (1000, 3000, 1000, 5050)


def test_states_are_as_many_as_the_estimator_holds():
    assert held(sized("checkpoint", offload=None)) == 10
    assert held(sized("reversible")) == 1
    assert held(sized("revolve", snapshots=3)) == 3
    assert held(sized("adjoint-dpm", trajectory="resolved")) == 1
    assert held(sized("continuous-adjoint", trajectory="stored", snapshots=5)) == 10
    assert held(sized("continuous-adjoint", trajectory="binomial", snapshots=5)) == 5


def test_a_peak_that_was_not_measured_has_no_parts():
    assert parts(cell(failed())) is None


def test_the_card_is_the_smallest_that_holds_it():
    assert [card_for(size * 1e9) for size in (1, 15.3, 15.4, 23.6, 79.7, 142.2)] == [16, 16, 24, 40, 80, None]
