"""Memory against steps, and its parts."""

import pytest

from gradbench.report.points import NoData
from gradbench.report.static.memory import memory_parts, memory_steps
from tests.rows import failed, row


def rows(unit=1):
    sizes = {"state_bytes": 10 * unit, "tape_bytes": 500 * unit, "baseline_bytes": 100 * unit}
    linear = [row("backprop", n, peak_bytes=600 * n * unit, **sizes) for n in (5, 10, 20)]
    return linear + [row("checkpoint", n, peak_bytes=(700 + 10 * n) * unit, **sizes) for n in (5, 10, 20)]


@pytest.mark.parametrize("figure", [memory_steps, memory_parts])
def test_parts_of_every_line_sum_to_its_peak(figure):
    _, table = figure(rows())
    assert (table.states_bytes + table.tape_bytes + table.rest_bytes == table.peak_bytes).all()
    line = table[(table.estimator == "checkpoint") & (table.steps == 20)].iloc[0]
    assert tuple(line[["states_bytes", "tape_bytes", "rest_bytes", "baseline_bytes"]]) == (200, 500, 200, 100)


def test_bars_are_stacked_to_the_peak():
    figure, table = memory_parts(rows())
    tops = [
        max(bar.get_y() + bar.get_height() for bar in bars) for bars in zip(*figure.axes[0].containers, strict=True)
    ]
    assert tops == pytest.approx([peak / 1024 for peak in table[table.estimator == "backprop"].peak_bytes])


def test_growth_is_the_power_of_steps():
    _, table = memory_steps(rows())
    assert table.set_index("estimator").growth["backprop"].iloc[0] == pytest.approx(1.0)


def test_a_card_near_the_data_is_a_line_at_what_weights_leave_of_it():
    figure, table = memory_steps(rows(unit=2 * 10**6))
    lines = {text.get_text(): text.xy[1] * 1024**3 for text in figure.axes[0].texts}
    assert lines["24 GB card"] == pytest.approx(23 * 2**30 / 1.05 - 200 * 10**6)
    assert list(table.card_gb) == [16, 16, 40, 16, 16, 16]


def test_a_card_far_above_the_data_is_a_sentence():
    figure, _ = memory_steps(rows())
    assert not figure.axes[0].texts
    assert "of a 16 GB card" in figure.legends[0].get_title().get_text()


def test_out_of_memory_is_a_letter_at_its_steps():
    figure, _ = memory_steps([*rows(), failed("backprop", 40)])
    assert [(text.get_text(), text.xy[0]) for text in figure.axes[0].texts] == [("M", 40)]


def test_without_peaks_there_is_no_figure():
    with pytest.raises(NoData, match="no peak of memory"):
        memory_steps([failed("backprop", 40)])
