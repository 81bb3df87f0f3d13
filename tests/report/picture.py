"""Draws docs/images/report.png: the first screen and one panel of the report on the newest published rows.

`make picture` runs it; it needs Chromium.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from gradbench.bench.load import load_rows
from gradbench.report.html import write_report
from tests.browser import FLAGS, chromium, settle

ROOT = Path(__file__).parents[2]
CASE = "digits"


def main() -> None:
    """Writes the picture."""
    rows = load_rows(sorted((ROOT / "results/published").glob("*/rows.parquet"))[-1])
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = write_report(rows, Path(folder) / "report.html")
        browser = driver.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1320, "height": 2400}, reduced_motion="reduce", color_scheme="light")
        page.goto(path.as_uri())
        settle(page)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = false; })")
        cases = page.locator("#f-case option").evaluate_all("nodes => nodes.map((n) => n.value)")
        page.select_option("#f-case", next(case for case in cases if case.startswith(CASE)))
        page.select_option("#f-target", "parameters")
        page.locator(".main-svg").nth(8).wait_for(state="attached")
        settle(page)
        bottom = page.locator(".panel").first.bounding_box()
        clip = {"x": 0, "y": 0, "width": 1320, "height": bottom["y"] + bottom["height"] + 16}
        page.screenshot(path=ROOT / "docs/images/report.png", clip=clip, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
