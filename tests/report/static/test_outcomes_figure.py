"""The figure and the table of tasks: means over seeds with their intervals."""

import pytest

from gradbench.report.points import NoData
from gradbench.report.static.outcomes import outcomes
from tests.rows import row
from tests.runs import of_a_task


def test_a_line_of_the_table_is_the_mean_over_seeds_with_its_interval():
    _, table = outcomes(of_a_task())
    line = table.set_index("estimator").loc["checkpoint"]
    assert line.seeds == 3 and line.last_held_out == pytest.approx(-0.6)
    assert line.last_held_out_half == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)  # Student's, two degrees of freedom


def test_the_score_before_is_a_dotted_line():
    figure, _ = outcomes(of_a_task())
    assert any(line.get_label() == "before" and line.get_ydata()[0] == -5.2 for line in figure.axes[0].lines)


def test_every_estimator_is_named_once_below():
    figure, _ = outcomes(of_a_task())
    assert [text.get_text() for text in figure.legends[0].texts] == ["checkpoint", "draft", "reinforce"]


def test_rows_that_are_no_tasks_have_nothing_to_draw():
    with pytest.raises(NoData, match="no task was optimised"):
        outcomes([row("checkpoint")])
