"""The page as text: complete, self-contained, and deaf to markup in its rows."""

import re
import subprocess
import sys

import numpy
import pytest

from gradbench.report.html import write_report
from tests.page import data_of
from tests.rows import row
from tests.runs import lifelike

EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(lifelike(), path, command="gradbench run --suite quick").read_text(encoding="utf-8")


def outside_scripts(page):
    return re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)


def column(page, path):
    """The values of one column of the points."""
    found = data_of(page)["points"]["columns"][path]
    return [found["words"][place] for place in found["of"]] if isinstance(found, dict) else found


def test_write_report_returns_its_path(tmp_path):
    assert write_report([], tmp_path / "new" / "report.html") == tmp_path / "new" / "report.html"


def test_nothing_is_fetched_from_anywhere(page):
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', outside_scripts(page))
    assert "default-src 'none'" in page


def test_the_page_without_data_is_under_two_megabytes(tmp_path):
    assert write_report([], tmp_path / "report.html").stat().st_size < 2_000_000


def test_the_licence_of_the_plotting_library_is_kept(page):
    assert "Licensed under the MIT license" in page


def test_failures_and_skips_are_told_with_reasons(page):
    assert "the cell needed 1440 MiB, over its limit of 1024 MiB" in outside_scripts(page)
    assert "rk4 has no inverse step" in outside_scripts(page)


def test_the_command_and_the_machine_are_told(page):
    assert "<code>gradbench run --suite quick</code>" in page
    assert "Intel Xeon Platinum 8488C" in page


def test_every_point_has_the_command_that_measures_it_again(page):
    commands = column(page, "command")
    assert len(commands) == 144 and all(command.startswith("gradbench run -c ") for command in commands)


@pytest.mark.parametrize("column", ["case", "sampler", "estimator", "reason", "cpu", "status", "dtype", "suite"])
def test_markup_in_a_row_stays_text(tmp_path, column):
    row = lifelike()[0] | {"status": "error", column: EVIL}
    page = write_report([row], tmp_path / "report.html", command=EVIL).read_text(encoding="utf-8")
    assert "<img" not in page
    assert len(re.findall("</script", page)) == 3


def test_markup_in_options_stays_text(tmp_path):
    rows = [lifelike()[0] | {"estimator_params": {EVIL: EVIL, "k": k}} for k in (1, 2)]
    page = write_report(rows, tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(re.findall("</script", page)) == 3


def test_no_rows_make_a_page_that_says_so(tmp_path):
    page = write_report([], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing was run" in page
    assert 'id="figures"' not in page


def test_rows_that_all_failed_make_a_page(tmp_path):
    rows = [row | {"status": "crash", "reason": "signal 11"} for row in lifelike()[:3]]
    page = write_report(rows, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing was measured, so no estimator can be recommended." in page
    assert "signal 11" in page


def test_rows_of_nothing_make_a_page(tmp_path):
    assert "none succeeded" in write_report([{}, {}], tmp_path / "report.html").read_text(encoding="utf-8")


def test_numbers_that_json_does_not_know_make_a_page(tmp_path):
    row = lifelike()[0] | {"time_s": float("nan"), "peak_bytes": float("inf"), "flow_error_x_T": float("-inf")}
    page = write_report([row], tmp_path / "report.html").read_text(encoding="utf-8")
    found = [column(page, path) for path in ("time_s", "peak_bytes", "errors/flow x_T/mark")]
    assert found == [["inf"], ["inf"], ["not finite"]]


def test_rows_out_of_a_data_frame_make_a_page(tmp_path):
    row = lifelike()[0] | {"targets": numpy.array(["x_T"]), "steps": numpy.float64(5), "gpu": float("nan"),
                                 "time_s": numpy.float32(0.5), "seed": numpy.int64(1)}  # fmt: skip
    page = write_report([row], tmp_path / "report.html").read_text(encoding="utf-8")
    assert [column(page, path) for path in ("targets", "steps", "time_s")] == [["x_T"], [5], [0.5]]


def test_random_weights_are_said_aloud(tmp_path):
    rows = [lifelike()[0] | {"case": "unet", "case_params": {"weights": "random"}}]
    assert "Random weights:" in outside_scripts(write_report(rows, tmp_path / "r.html").read_text(encoding="utf-8"))


def test_every_label_of_a_case_shows_its_weights(tmp_path):
    rows = [row | {"case": "sd15", "weights": "random weights (seed 0)"} for row in lifelike()]
    page = write_report(rows, tmp_path / "r.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", outside_scripts(page)).replace("Random weights: sd15.", "")
    assert text.count("sd15[") == text.count("random weights (seed 0)") > 4
    assert all(case.endswith(", random weights (seed 0)") for case in column(page, "case"))


def test_the_answer_is_told_in_three_sentences(page):
    told = re.search(r'<div class="answer">(.*?)</div>', page, re.DOTALL)[1]
    assert re.findall(r'<b class="head">(.*?)</b>', told) == ["Accuracy", "Memory", "Time"]
    assert "<code>checkpoint</code> and <code>backprop</code> give the gradient of the sampler that was run" in told


def test_what_was_recommended_is_explained(page):
    assert "checkpoint</b>: stored states, one step&#39;s tape at a time" in page


def test_what_the_catalogue_does_not_know_is_recommended_without_an_explanation(tmp_path):
    rows = [row(name, own=error) for name, error in (("mine:Own", 0.0), ("checkpoint", 0.2))]
    page = write_report(rows, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<code>mine:Own</code> gives the gradient" in page and "mine:Own</b>:" not in page


def test_long_lists_of_failures_are_cut_and_said_to_be(tmp_path):
    rows = [lifelike()[0] | {"status": "error", "reason": f"reason {k}"} for k in range(500)]
    page = write_report(rows, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "reason 399<" in page and "reason 400<" not in page
    assert "100 more lines are left out here" in page


def test_importing_the_report_is_light():
    code = "import sys, gradbench.report.html as _; assert not {'torch', 'pandas', 'jinja2'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
