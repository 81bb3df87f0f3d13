"""The browser that tests look at pages with: Debian's Chromium, which `make browser` installs."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


def chromium():
    """The path of a browser; where there is none the test is skipped, and in CI it fails."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no Chromium on the PATH: `make browser`")
    return path


def watched(browser, width=1280, **options):
    """A new page that keeps what it complains of: errors, dialogs, and whatever it wants from the network."""
    page = browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce", **options)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append("dialog"), dialog.dismiss()))
    page.on("request", lambda request: _local(request.url) or page.complaints.append(request.url))
    return page


def _local(url):
    return url.startswith(("file:", "data:", "blob:"))


def settle(page):
    """Waits until every figure in view is drawn."""
    page.wait_for_selector("#panels[aria-busy=false], body:not(:has(#panels))", state="attached")


def choose(page, key, value):
    """Chooses in one of the filters."""
    page.select_option(f"#f-{key}", value)
    settle(page)


def plot(page, place=0):
    """One of the figures, drawn."""
    node = page.locator(".plot").nth(place)
    node.scroll_into_view_if_needed()
    node.locator(".main-svg").first.wait_for()
    settle(page)
    return node


def hover(page, place=0, index=0):
    """Moves the mouse onto a point of a figure."""
    box = plot(page, place).locator(".point").nth(index).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y - 60)
    page.mouse.move(x, y, steps=4)
    page.locator("#tip").wait_for()


def taken(page, locator):
    """The name and the bytes of the file that a press gives."""
    with page.expect_download() as download:
        locator.click()
    with open(download.value.path(), "rb") as file:
        return download.value.suggested_filename, file.read()
