"""The page as text: complete, self-contained, and deaf to markup in its rows."""

import json
import re
import subprocess
import sys

import numpy
import pytest
import synthetic

from gradbench.report.html import write_report

EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(synthetic.rows(), path, command="gradbench run --suite quick").read_text(encoding="utf-8")


def outside_scripts(page):
    return re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)


def data(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


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
    assert all(point["command"].startswith("gradbench run -c ") for point in data(page)["points"])


@pytest.mark.parametrize("column", ["case", "sampler", "estimator", "reason", "cpu", "status", "dtype", "suite"])
def test_markup_in_a_row_stays_text(tmp_path, column):
    row = synthetic.rows()[0] | {"status": "error", column: EVIL}
    page = write_report([row], tmp_path / "report.html", command=EVIL).read_text(encoding="utf-8")
    assert "<img" not in page
    assert len(re.findall("</script", page)) == 3


def test_markup_in_options_stays_text(tmp_path):
    rows = [synthetic.rows()[0] | {"estimator_params": {EVIL: EVIL, "k": k}} for k in (1, 2)]
    page = write_report(rows, tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(re.findall("</script", page)) == 3


def test_no_rows_make_a_page_that_says_so(tmp_path):
    page = write_report([], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Nothing was run" in page
    assert 'id="figures"' not in page


def test_rows_that_all_failed_make_a_page(tmp_path):
    rows = [row | {"status": "crash", "reason": "signal 11"} for row in synthetic.rows()[:3]]
    page = write_report(rows, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No error was measured" in page
    assert "signal 11" in page


def test_rows_of_nothing_make_a_page(tmp_path):
    assert "none ended well" in write_report([{}, {}], tmp_path / "report.html").read_text(encoding="utf-8")


def test_numbers_that_json_does_not_know_make_a_page(tmp_path):
    row = synthetic.rows()[0] | {"time_s": float("nan"), "peak_bytes": float("inf"), "flow_error_x_T": float("-inf")}
    point = data(write_report([row], tmp_path / "report.html").read_text(encoding="utf-8"))["points"][0]
    assert (point["time_s"], point["peak_bytes"], point["errors"]["flow x_T"]["mark"]) == ("inf", "inf", "not finite")


def test_rows_out_of_a_data_frame_make_a_page(tmp_path):
    row = synthetic.rows()[0] | {"targets": numpy.array(["x_T"]), "steps": numpy.float64(5), "gpu": float("nan"),
                                 "time_s": numpy.float32(0.5), "seed": numpy.int64(1)}  # fmt: skip
    point = data(write_report([row], tmp_path / "report.html").read_text(encoding="utf-8"))["points"][0]
    assert (point["targets"], point["steps"], point["time_s"]) == ("x_T", 5, 0.5)


def test_random_weights_are_said_aloud(tmp_path):
    rows = [synthetic.rows()[0] | {"case": "unet", "case_params": {"weights": "random"}}]
    assert "Random weights:" in outside_scripts(write_report(rows, tmp_path / "r.html").read_text(encoding="utf-8"))


def test_importing_the_report_is_light():
    code = "import sys, gradbench.report.html as _; assert not {'torch', 'pandas', 'jinja2'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
