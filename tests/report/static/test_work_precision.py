"""Error against work."""

import pytest

from gradbench.report.points import Ask, NoData
from gradbench.report.static.work_precision import work_precision
from tests.rows import failed, row


def rows():
    """Rows of a, b, c, one work each: a cheap and rough, b costly and accurate, c costlier and rougher than b."""
    return [
        row("backprop", 10, 0.1, time_s=1.0, peak_bytes=3000),
        row("checkpoint", 10, 0.01, time_s=2.0, peak_bytes=1000),
        row("revolve", 10, 0.05, time_s=3.0, peak_bytes=500),
    ]


def front(table, cost):
    return set(table[(table.cost == cost) & table.front].estimator)


def test_the_front_is_what_nothing_beats_in_both():
    _, table = work_precision(rows())
    assert front(table, "time") == {"backprop", "checkpoint"}
    assert front(table, "memory") == {"checkpoint", "revolve"}


def test_equal_work_leaves_the_most_accurate_alone_on_the_front():
    _, table = work_precision(rows())
    assert front(table, "nfe") == {"checkpoint"}


def test_quartiles_are_over_time_samples_and_over_seeds():
    given = [row("backprop", 10, e, seed=i, time_s=2.0, time_samples=[1.0, 3.0]) for i, e in enumerate((0.1, 0.2, 0.4))]
    _, table = work_precision(given)
    time = table[table.cost == "time"].iloc[0]
    assert tuple(time[["value_low", "value", "value_high"]]) == (1.0, 2.0, 3.0)
    assert tuple(time[["error_low", "error", "error_high"]]) == (pytest.approx(0.15), 0.2, pytest.approx(0.3))


def test_work_and_time_are_of_all_draws():
    drawn = row("draft", 10, draws=8, expected=0.3, time_s=0.5, time_samples=[0.5], peak_bytes=1000)
    _, table = work_precision([drawn])
    assert dict(zip(table.cost, table.value, strict=True)) == {
        "time": 4.0,
        "nfe": 160.0,
        "vjps": 80.0,
        "memory": 1000.0,
    }
    assert set(table.reference) == {"expected"}


def test_an_error_below_the_floor_stands_at_the_floor():
    _, table = work_precision([row("backprop", 10, 0.0), row("checkpoint", 10, 1e-14), row("revolve", 10, 0.5)])
    marks = table[table.cost == "nfe"].set_index("estimator")
    assert dict(marks.mark) == {"backprop": "exact", "checkpoint": "floor", "revolve": "value"}
    assert marks.error["backprop"] == marks.error["checkpoint"] == marks.floor["backprop"] == 1e-12


def test_axes_name_the_reference_and_the_target():
    figure, _ = work_precision(rows())
    assert figure.axes[0].get_ylabel().replace("\n", " ") == "relative error of dL/dx_T against the exact flow"


def test_the_legend_counts_failures():
    figure, _ = work_precision([*rows(), failed("backprop", 80)])
    assert "backprop (1 failed)" in [text.get_text() for text in figure.legends[0].texts]


def test_the_reference_and_the_target_can_be_asked_for():
    given = [row("backprop", 10, 0.1, sampler_error_condition=0.02)]
    _, table = work_precision(given, Ask("sampler", "condition"))
    assert set(table.error) == {0.02}
    with pytest.raises(NoData, match="no error against a reference was measured for expected"):
        work_precision(given, Ask("expected"))
