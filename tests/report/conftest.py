"""Lets the tests of this folder import `synthetic`, whatever the import mode, and opens pages in a browser."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import synthetic

from gradbench.report.html import write_report
from tests.browser import settle, watched


@pytest.fixture(scope="session")
def opened(browser, tmp_path_factory):
    """Opens a report of the given rows, waits until every figure in view is drawn, and returns the page."""
    pages = []

    def open_report(rows, width=1280, **options):
        path = write_report(rows, tmp_path_factory.mktemp("report") / "report.html", command="gradbench run")
        page = watched(browser, width, **options)
        page.goto(path.as_uri())
        settle(page)
        pages.append(page)
        return page

    yield open_report
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def shared(opened):
    return opened(synthetic.rows())


@pytest.fixture
def page(shared):
    """The page of the synthetic rows, which every test leaves as it was opened."""
    yield shared
    shared.reload()
    settle(shared)


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """The page of 20,000 rows."""
    return write_report(synthetic.many(), tmp_path_factory.mktemp("large") / "report.html")
