"""Every figure, drawn once from handmade rows: legible, with its legend beside the data and reproducible bytes."""

import re

import pandas as pd
import pytest
from matplotlib.text import Text

from gradbench.analysis.panel import panels
from gradbench.report.points import Ask, NoData
from gradbench.report.static.canvas import DOUBLE, SINGLE, SMALL, save
from gradbench.report.static.catalogue import FIGURES
from gradbench.report.static.write import write_figures
from tests.rows import row
from tests.runs import everything, of_a_task, on_a_card

ROWS = [*everything(), *on_a_card(), *of_a_task()]


@pytest.fixture(scope="module", params=list(FIGURES))
def drawn(request):
    """One figure of each kind, laid out, with its table."""
    kind = FIGURES[request.param]
    groups = [ROWS] if kind.pooled is None else [panel.rows for panel in panels(ROWS, kind.pooled)]
    for rows in sorted(groups, key=len, reverse=True):
        try:
            figure, table = kind.load()(rows, Ask(title="a title of some length, as it is of cases, ddim, float64"))
        except NoData:
            continue
        figure.draw_without_rendering()
        return figure, table
    raise AssertionError(f"no rows for {kind.name}")


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def test_a_figure_has_a_table(drawn):
    assert len(drawn[1]) > 0


def test_no_letter_is_smaller_than_seven_points(drawn):
    assert min(text.get_fontsize() for text in texts(drawn[0])) >= SMALL


def test_a_figure_is_as_wide_as_a_column_or_two(drawn):
    assert drawn[0].get_size_inches()[0] in (SINGLE, DOUBLE)


def test_the_legend_lies_outside_of_the_axes(drawn):
    figure, _ = drawn
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes if axes.axison)


def test_nothing_is_cut_off(drawn):
    figure, _ = drawn
    page = figure.bbox.padded(1.0)
    for text in texts(figure):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text.get_text()


def test_labels_of_ticks_do_not_overlap(drawn):
    for axes in drawn[0].axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = [t.get_window_extent() for t in axis.get_ticklabels() if t.get_text() and not t.get_rotation()]
            assert not any(a.overlaps(b) for a, b in zip(shown, shown[1:], strict=False))


def test_files_are_the_same_bytes_each_time_without_dates_and_with_fonts(tmp_path):
    kind = FIGURES["convergence"]
    written = {}
    for name in ("one", "two"):
        figure, _ = kind.load()(panels(ROWS)[0].rows, Ask())
        written[name] = [path.read_bytes() for path in save(figure, tmp_path / name, ("pdf", "svg", "png"))]
    assert written["one"] == written["two"]
    pdf, svg, png = written["one"]
    assert b"/CIDFontType2" in pdf and b"/Type3" not in pdf and b"CreationDate" not in pdf
    assert b"<text" not in svg and b"dc:date" not in svg
    assert png.startswith(b"\x89PNG") and b"Software" not in png


def test_a_figure_is_written_once_a_case_with_its_table(tmp_path):
    done = list(write_figures(ROWS, tmp_path, ("svg",), ("convergence",)))
    assert [[file.name for file in each.files] for each in done] == [
        ["convergence-gaussian.svg", "convergence-gaussian.csv"],
        ["convergence-mixture.svg", "convergence-mixture.csv"],
    ]
    table = pd.read_csv(tmp_path / "convergence-mixture.csv")
    assert table[table.estimator == "backprop"].order.iloc[0] == pytest.approx(1.0)


def test_every_panel_is_written_where_all_are_asked_for(tmp_path):
    done = list(write_figures(ROWS, tmp_path, (), ("convergence",), every=True))
    names = {file.name for each in done for file in each.files}
    assert len(names) == len(done) == 4


def test_a_figure_without_data_says_why(tmp_path):
    (done,) = write_figures([row("backprop", 5, 0.1)], tmp_path, (), ("backward-grid",))
    assert not done.files and done.reason == "no backward pass was run on a grid other than the sampler's"


def test_a_title_tells_random_weights_in_the_parameters_of_a_case(tmp_path):
    given = [row("backprop", n, 0.1, case_params={"weights": "random"}) for n in (5, 10)]
    (done,) = write_figures(given, tmp_path, (), ("convergence",))
    assert done.title == "gaussian, ddim, float64, random weights"


def test_no_figure_needs_a_column_that_a_row_may_lack():
    bare = [{"estimator": "backprop", "status": "ok"}, {"status": "lost"}, {}]
    for kind in FIGURES.values():
        try:
            kind.load()(bare, Ask())
        except NoData as reason:
            assert re.fullmatch(r"[a-z].{10,}", str(reason))
        else:
            assert kind.name == "coverage"
