"""The table of tasks in the terminal."""

import pytest

from gradbench.analysis.courses import Mean, courses, is_task
from gradbench.report.courses import texts, with_interval
from gradbench.report.html import write_report
from gradbench.report.terminal import show_table
from tests.rows import failed, row
from tests.runs import of_a_task


def test_a_mean_has_students_interval():
    mean = Mean.of([1.0, 2.0, 3.0, None])
    assert mean.value == 2 and mean.half == pytest.approx(4.303 / 3**0.5, rel=1e-3)


def test_a_single_seed_has_no_interval_and_nothing_no_mean():
    assert Mean.of([2.0]) == (2.0, None) and Mean.of([None]) is None


def test_a_course_gathers_the_seeds_of_an_estimator():
    found = courses([*of_a_task(), row("checkpoint")])
    assert [(c.cell.estimator, len(c.cell.rows)) for c in found] == [("checkpoint", 3), ("draft", 3), ("reinforce", 3)]


def test_a_task_that_failed_on_the_way_is_one_too():
    assert is_task(failed("checkpoint", case="align", phase="optimise")) and not is_task(row("checkpoint"))


def test_a_line_has_scores_costs_and_memory():
    line = texts(courses(of_a_task())[0])
    assert line == ["-0.4±0.25", "-0.6±0.25", "1.00", "2,400", "120", "21.0", "1"]


def test_without_an_interval_a_score_is_a_number_alone():
    assert with_interval(Mean(0.12345, None)) == "0.123" and with_interval(None) == ""


def test_tasks_have_a_table_of_their_own_below_the_others(capsys):
    show_table([row("checkpoint", flow=0.1), *of_a_task()])
    out = capsys.readouterr().out
    assert out.index("gaussian") < out.index("align  ddim") and "before: objective -5, held-out -5.2" in out


def test_a_reason_stands_below_the_table(capsys):
    show_table([*of_a_task(), failed("rlr", case="align", case_params={"updates": 30}, phase="optimise", reason="why")])
    assert "rlr: oom: why" in capsys.readouterr().out


def test_the_page_has_a_table_per_task_and_hides_what_has_nothing_to_show(tmp_path):
    page = write_report(of_a_task(), tmp_path / "report.html").read_text()
    assert 'id="tasks"' in page and "before: objective -5, held-out -5.2" in page
    assert 'id="answer"' not in page and page.count('"h-figures" hidden') == page.count('"h-table" hidden') == 1


def test_tasks_stand_before_the_answer_of_the_other_rows(tmp_path):
    page = write_report([row("checkpoint", flow=0.1), *of_a_task()], tmp_path / "report.html").read_text()
    assert page.index('id="tasks"') < page.index('id="answer"') and "hidden>" not in page.split("h-figures")[1][:10]
