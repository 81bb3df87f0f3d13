"""Whatever a row is called, the page shows it as text."""

from xml.etree import ElementTree

import pytest

from tests.browser import choose, hover, plot, settle, taken
from tests.runs import lifelike

EVIL = [
    "</script><img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "'\"><svg onload=alert(1)>",
    "<!--<script>",
    "__proto__",
    "`x` ${alert(1)} {{ alert(1) }} &lt;b&gt;",
]


@pytest.fixture(scope="module", params=EVIL, ids=["close", "script", "quotes", "comment", "prototype", "template"])
def evil(request, opened):
    """A page whose case, estimators, dtype and reasons all bear the name."""
    name = request.param
    rows = [row | {"case": name, "estimator": name + row["estimator"], "dtype": name} for row in lifelike()[:40]]
    rows += [rows[0] | {"steps": 80, "status": "error", "reason": name, "phase": name, "weights": name}]
    return name, opened(rows)


def test_nothing_of_a_name_runs(evil):
    name, page = evil
    plot(page)
    assert page.complaints == []
    assert page.locator("script").count() == 3
    assert page.locator("img, [onerror], [onload]").count() == 0


def test_a_name_is_read_in_table_dialog_and_failures(evil):
    name, page = evil
    assert name in page.locator("#cells tbody").text_content()
    page.locator("#cells tbody button").first.click()
    assert name in page.locator("dialog h3").text_content()
    page.keyboard.press("Escape")
    assert page.locator("#failures td.reason").first.text_content() == f"{name}: {name}"


def test_a_name_is_read_beside_a_point_and_in_its_picture(evil):
    name, page = evil
    hover(page)
    assert name in page.locator("#tip").text_content()
    _, svg = taken(page, page.locator(".tools").first.get_by_text("SVG"))
    nodes = list(ElementTree.fromstring(svg).iter())
    assert name in "".join(node.text or "" for node in nodes)
    assert not {"script", "img"} & {node.tag.rpartition("}")[2] for node in nodes}
    assert not [key for node in nodes for key in node.attrib if key.startswith("on")]
    assert page.complaints == []


def test_a_name_is_a_choice_of_a_filter(evil):
    name, page = evil
    choose(page, "case", name)
    settle(page)
    assert page.locator("#panels .panel").count() == 1
    choose(page, "case", "")
