"""Predicted against measured memory, and time against that of the network alone."""

import pytest

from gradbench.report.points import NoData
from gradbench.report.static.predicted import overhead, predicted
from tests.rows import failed
from tests.runs import CARD, on_a_card

ROWS = on_a_card()


def by_estimator(table):
    return {line["estimator"]: line for line in table.to_dict("records")}


def test_the_difference_is_told_in_three_parts():
    found = by_estimator(predicted(ROWS)[1])["reversible"]
    assert (found["unseen_bytes"], found["rounding_bytes"], found["idle_bytes"]) == (290, 10, 60)
    assert found["ratio"] == pytest.approx(1.3)


def test_the_note_counts_what_is_within_five_percent():
    figure, _ = predicted(ROWS)
    assert figure.legends[0].get_title().get_text() == "Grey: within 5%, as 2 of 3 cells are."


def test_what_the_allocator_did_not_say_is_no_number():
    row = {**ROWS[0], "requested_bytes": None, "reserved_bytes": None}
    found = by_estimator(predicted([row])[1])["backprop"]
    assert found["unseen_bytes"] is None and found["ratio"] == pytest.approx(1.01)


def test_the_overhead_is_time_over_evaluations_and_vjps():
    found = by_estimator(overhead(ROWS)[1])
    assert found["checkpoint"]["ratio"] == pytest.approx(10.2 / (100 * 0.05 + 50 * 0.1))
    assert found["backprop"]["ratio"] == pytest.approx(7.6 / (50 * 0.05 + 50 * 0.1))


@pytest.mark.parametrize(("draw", "lacking"), [(predicted, "predicted_peak_bytes"), (overhead, "vjp_s")])
def test_rows_without_the_numbers_are_no_figure(draw, lacking):
    with pytest.raises(NoData):
        draw([{**row, lacking: None} for row in ROWS])


def test_a_cell_that_ran_out_of_memory_has_a_prediction_and_no_mark():
    with pytest.raises(NoData):
        predicted([failed("backprop", 50, predicted_peak_bytes=10**12, **CARD)])
