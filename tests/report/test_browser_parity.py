"""The page against print: what Chromium draws is where the tables for print have it, bars included."""

import pytest

from gradbench.report.static.bias_variance import bias_variance
from gradbench.report.static.memory import memory_steps
from gradbench.report.static.work_precision import work_precision
from tests.browser import plot
from tests.rows import MIB, drawn, row

ROWS = [
    row(
        name,
        n,
        (1 + seed) / n,
        seed=seed,
        time_s=n * (2 + seed),
        time_samples=[n, n * (3 + 2 * seed)],
        peak_bytes=1000 * n * (2 + seed),
        state_bytes=3000,
        tape_bytes=50_000,
    )
    for name in ("backprop", "checkpoint")
    for n in (5, 10, 20)
    for seed in range(3)
]
ROWS.append(drawn("draft", 10, flow=0.7, time_s=0.3, peak_bytes=4000, draws=3))


@pytest.fixture(scope="module")
def page(opened):
    """One panel with every figure: estimators over steps with three seeds, one Monte Carlo."""
    return opened(ROWS)


def traces(page, place):
    """The lines of a figure by estimator, with points in order of steps."""
    found = plot(page, place).evaluate("n => n.data.filter((t) => t.customdata && t.mode !== 'markers+text')")
    return {trace["name"]: trace for trace in found}


def near(values):
    """The page has six digits."""
    return pytest.approx(list(values), rel=1e-5)


def ends(middles, bars):
    """Where bars begin, and where they end; without bars the middles."""
    below, above = (bars[name] if bars else [0] * len(middles) for name in ("arrayminus", "array"))
    return (
        [middle - length for middle, length in zip(middles, below, strict=True)],
        [middle + length for middle, length in zip(middles, above, strict=True)],
    )


@pytest.mark.parametrize(("place", "cost"), [(0, "time"), (1, "nfe")])
def test_errors_against_work_are_drawn_where_print_has_them(page, place, cost):
    found, table = traces(page, place), work_precision(ROWS)[1]
    for name, part in table[table.cost == cost].groupby("estimator"):
        trace = found[name]
        assert (trace["x"], trace["y"]) == (near(part.value), near(part.error))
        assert ends(trace["x"], trace.get("error_x")) == (near(part.value_low), near(part.value_high))
        assert ends(trace["y"], trace.get("error_y")) == (near(part.error_low), near(part.error_high))


def test_peaks_are_drawn_where_print_has_them(page):
    found, table = traces(page, 2), memory_steps(ROWS)[1]
    for name, part in table.groupby("estimator"):
        trace = found[name]
        assert (trace["x"], trace["y"]) == (near(part.steps), near(part.peak_bytes / MIB))
        bars = (near(part.peak_bytes_low / MIB), near(part.peak_bytes_high / MIB))
        assert ends(trace["y"], trace.get("error_y")) == bars


def test_bias_and_noise_are_drawn_where_print_has_them(page):
    trace, line = traces(page, 3)["draft"], bias_variance(ROWS)[1].iloc[0]
    size, margin = abs(line.bias), 2 * line.std_error
    assert (trace["x"], trace["y"]) == (near([line.variance_share**0.5]), near([size]))
    assert ends(trace["y"], trace["error_y"]) == (near([size - margin]), near([size + margin]))
