"""The figure of tasks on the way, and what of it can be compared at equal cost."""

import pytest

from gradbench.analysis.courses import blocks, courses, least
from gradbench.bench.row import Row
from gradbench.report.points import NoData
from gradbench.report.static.progress import progress
from tests.rows import row
from tests.runs import of_a_task


@pytest.fixture(scope="module")
def block():
    (only,) = blocks(courses(of_a_task())).values()
    return only


def test_the_place_where_all_can_be_compared_is_the_cheapest_end(block):
    assert least(block, "evaluations") == 30 * 11 and least(block, "queries") == 30 and least(block, "seconds") == 10


def test_a_score_at_equal_cost_lies_on_the_line_between_its_places(block):
    exact = next(course for course in block if course.cell.estimator == "checkpoint")
    ends = [-0.7 + 0.1 * seed for seed in range(3)]
    expected = sum(-5.2 + (end + 5.2) * 330 / 600 for end in ends) / 3
    assert exact.at("evaluations", 330).value == pytest.approx(expected)


def test_beyond_its_end_a_course_has_no_score(block):
    assert block[0].at("queries", 31) is None and block[0].at("queries", 30).value == pytest.approx(-0.6)


def test_a_course_that_ended_early_stays_where_it_ended():
    rows = of_a_task()[:3]
    rows[0]["course"] = {name: values[:2] for name, values in rows[0]["course"].items()}
    (course,) = courses(rows)
    ends = [row["course"]["held_out"][-1] for row in rows]
    assert [stop.update for stop in course.stops] == [0, 15, 30]
    assert course.stops[-1].held_out.value == pytest.approx(sum(ends) / 3)


def test_estimators_with_learning_rates_of_their_own_are_compared():
    rates = {"checkpoint": 0.03, "draft": 0.1, "reinforce": 0.03}
    rows = [Row(row | {"case_params": {"updates": 30, "lr": rates[row["estimator"]]}}) for row in of_a_task()]
    (block,) = blocks(courses(rows)).values()
    assert [course.label for course in block] == ["checkpoint, lr=0.03", "draft, lr=0.1", "reinforce, lr=0.03"]


def test_tasks_of_other_rewards_are_not_compared():
    others = [Row(row | {"case_params": {"objective": "other"}}) for row in of_a_task()]
    assert len(blocks(courses([*of_a_task(), *others]))) == 2


def test_the_figure_shows_each_cost_and_the_table_each_place():
    figure, table = progress(of_a_task())
    assert [axes.get_xlabel() for axes in figure.axes] == ["network evaluations", "reward queries", "seconds"]
    assert len(table) == 9 and set(table.equal_evaluations) == {330}


def test_rows_that_tell_no_course_have_nothing_to_draw():
    with pytest.raises(NoData, match="no row tells the course of a task"):
        progress([row("checkpoint")])
