"""Shared fixtures: one thread, and problems small enough to differentiate many times."""

import pytest
import torch
from hypothesis import settings

import gradbench
from tests.browser import FLAGS, chromium

settings.register_profile("thorough")  # more examples: see tests/property/leaves.py


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def gaussian():
    return gradbench.case("gaussian", dim=5, batch=3)


@pytest.fixture(scope="session")
def digits():
    return gradbench.case("digits", batch=2)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter):
    """How many tests were skipped for want of a GPU."""
    skipped = [r for r in terminalreporter.stats.get("skipped", ()) if "gpu" in r.keywords]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} GPU tests skipped: no CUDA device")
