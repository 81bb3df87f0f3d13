"""A peak taken apart."""

import pytest

from gradbench.analysis.cells import cells
from gradbench.analysis.memory import held, parts
from gradbench.measure.cards import card_for

FACTS = {"status": "ok", "steps": 10, "state_bytes": 100, "tape_bytes": 3000, "baseline_bytes": 50}


def cell(estimator="checkpoint", peak=5000, **options):
    (found,) = cells([FACTS | {"estimator": estimator, "estimator_params": options, "peak_bytes": peak}])
    return found


@pytest.mark.parametrize("peak", [5000, 3500, 2000, 100])
def test_parts_sum_to_the_peak_and_none_is_negative(peak):
    found = parts(cell(peak=peak))
    assert found.states + found.tape + found.rest == found.peak == peak
    assert min(found.states, found.tape, found.rest) >= 0


def test_parts_are_states_times_steps_one_tape_and_the_rest():
    found = parts(cell())
    assert (found.states, found.tape, found.rest, found.total) == (1000, 3000, 1000, 5050)


def test_states_are_as_many_as_the_estimator_holds():
    assert held(cell("checkpoint", offload=None)) == 10
    assert held(cell("reversible")) == 1
    assert held(cell("revolve", snapshots=3)) == 3
    assert held(cell("adjoint-dpm", trajectory="resolved")) == 1
    assert held(cell("continuous-adjoint", trajectory="stored", snapshots=5)) == 10
    assert held(cell("continuous-adjoint", trajectory="binomial", snapshots=5)) == 5


def test_a_peak_that_was_not_measured_has_no_parts():
    assert parts(cells([{"status": "oom", "estimator": "backprop", "steps": 5}])[0]) is None


def test_the_card_is_the_smallest_that_holds_it():
    assert [card_for(size * 1e9) for size in (1, 15.3, 15.4, 23.6, 79.7, 142.2)] == [16, 16, 24, 40, 80, None]
