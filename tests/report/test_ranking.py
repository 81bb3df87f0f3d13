"""The table beside the answer."""

import pytest
import synthetic

from gradbench.analysis.cells import cells
from gradbench.analysis.standings import settings, verdicts
from gradbench.report.ranking import meaning, ranking


@pytest.fixture(scope="module")
def lines():
    return {line.estimator: line for line in ranking(verdicts(settings(cells(synthetic.rows()))), "sampler")}


def test_those_that_the_answer_names_come_first(lines):
    assert [line.estimator for line in lines.values() if line.named] == list(lines)[:2] == ["checkpoint", "backprop"]


def test_every_target_that_was_measured_has_a_standing(lines):
    assert list(lines["backprop"].standings) == ["x_T", "condition", "parameters"]


def test_memory_is_over_the_least_of_each_setting(lines):
    assert lines["spsa"].memory == pytest.approx(1.0)
    assert lines["backprop"].memory > lines["checkpoint"].memory > 1.0


def test_an_estimator_means_what_the_catalogue_says():
    assert meaning("backprop") == "the whole chain on one tape"
    assert meaning("one that nobody knows") == ""
