"""Pages opened in a browser."""

import pytest

from gradbench.report.html import write_report
from tests.browser import settle, watched
from tests.runs import lifelike, many


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
    return opened(lifelike())


@pytest.fixture
def page(shared):
    """The page of the lifelike rows, which every test leaves as it was opened."""
    yield shared
    shared.reload()
    settle(shared)


@pytest.fixture(scope="session")
def large(tmp_path_factory):
    """The page of 20,000 rows."""
    return write_report(many(), tmp_path_factory.mktemp("large") / "report.html")
