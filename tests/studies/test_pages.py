"""Pages of published rows: every number is a row's, and a page that says otherwise is found."""

import hashlib

import pytest

from gradbench.analysis.label import params_of
from studies.pages.__main__ import PAGES, PREDICTED, ROOT, RUN, written
from studies.pages.formats import error, gb, mib, percent, work
from studies.pages.published import Published


@pytest.fixture(scope="module")
def rows():
    return Published(RUN)


def test_readme_and_pages_are_what_the_rows_say():
    assert [place.relative_to(ROOT) for place, text in written(RUN).items() if place.read_text() != text] == []


def test_a_number_is_the_median_of_the_rows_of_its_seeds(rows):
    found = sorted(row["flow_error_x_T"] for row in rows.find("gaussian", "checkpoint", 20))
    assert len(found) == 3 and rows.value("flow_error_x_T", "gaussian", "checkpoint", 20) == found[1]


def test_options_that_are_left_out_are_the_defaults(rows):
    (row, *_) = rows.find("gaussian", "adjoint-dpm[rule=rk4]", 20)
    assert params_of(row, "estimator")["trajectory"] == "resolved"


def test_a_cell_that_was_not_measured_cannot_be_shown(rows):
    with pytest.raises(KeyError, match="has no row of gaussian, ddim, 21 steps, checkpoint"):
        rows.value("flow_error_x_T", "gaussian", "checkpoint", 21)


def test_what_no_row_knows_cannot_be_shown(rows):
    with pytest.raises(KeyError, match="no flow_error_x_T of digits"):
        rows.value("flow_error_x_T", "digits", "checkpoint", 20)


@pytest.mark.parametrize("place", [*PAGES.values(), PREDICTED, RUN / "rows.parquet"], ids=lambda place: place.name)
def test_what_pages_are_made_of_is_here(place):
    assert place.is_file()


def test_what_was_published_is_what_its_digest_says():
    lines = (RUN.parent / "SHA256SUMS").read_text().splitlines()
    told = {name: digest for digest, name in map(str.split, lines)}
    files = [*RUN.parent.glob("*/rows.parquet"), *RUN.parent.glob("*.json")]
    assert told == {str(f.relative_to(RUN.parent)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_numbers_have_the_digits_that_a_reader_can_use():
    assert [error(v) for v in (0.0, 3.2e-6, 0.0456, 0.312, 7.04, 447.2)] == ["0", "3.2e-6", "0.046", "0.31", "7", "447"]
    assert [mib(v * 2**20) for v in (0.0625, 2.81, 1623.1)] == ["0.062", "2.8", "1,623"]
    assert (gb(3.42e9), percent(-0.4), work(float("inf")), work(12345.0)) == ("3.4", "-40%", "∞", "12,000")
