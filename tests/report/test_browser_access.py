"""Whoever reads it: by keyboard, by ear, on a phone, in the dark."""

import pytest

from tests.browser import plot, settle
from tests.runs import lifelike

CONTROLS = "a[href], button:not([disabled]), select, summary, [tabindex='0']"
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => [0, 1, 2].map((i) => (top[i] * top[3] + below[i] * (255 - top[3])) / 255).concat(255);
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 255]);
  };
  const light = (colour) => colour.slice(0, 3)
    .map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const node of document.querySelectorAll("body *:not(script, style, option, symbol)")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.getClientRects().length || node.disabled || getComputedStyle(node).clipPath !== "none") continue;
    const style = getComputedStyle(node), ground = behind(node);
    const ink = over(rgba(node instanceof SVGElement ? style.fill : style.color), ground);
    const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
    found.push([(high + 0.05) / (low + 0.05), node.tagName + " " + node.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


def faint(page):
    """Texts whose contrast is under 4.5:1, the AA bound of WCAG 2.2 (1.4.3)."""
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    plot(page)
    found = page.evaluate(CONTRAST)
    assert len(found) > 300
    return [line for line in found if line[0] < 4.5]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_aa(opened, scheme):
    page = opened(lifelike(), color_scheme=scheme)
    page.get_by_role("button", name="spsa", exact=True).click()
    settle(page)
    assert faint(page) == []


def test_the_theme_is_that_of_the_system_until_the_reader_chooses(opened):
    page = opened(lifelike()[:20], color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light page").click()
    settle(page)
    light = page.evaluate(ground)
    assert (dark, light) == ("rgb(16, 19, 23)", "rgb(245, 246, 248)")
    assert faint(page) == []
    page.get_by_role("button", name="Dark page").click()
    assert page.evaluate(ground) == dark


def test_figures_are_drawn_in_the_colours_of_the_theme(page):
    colour = "n => n.data.find((t) => t.name === 'backprop').line.color"
    assert plot(page).evaluate(colour) == "#1a1a1a"
    page.click("#theme")
    settle(page)
    assert plot(page).evaluate(colour) == "#f2f2f2"


def test_the_tab_key_reaches_every_control_in_the_order_of_the_page(opened):
    page = opened(lifelike()[:9])
    for place in range(3):
        plot(page, place)
    page.evaluate(
        """(controls) => {
            window.scrollTo(0, 0);
            const shown = [...document.querySelectorAll(controls)].filter((n) => n.checkVisibility());
            shown.forEach((n, i) => { n.dataset.place = i; });
            document.activeElement.blur();
        }""",
        CONTROLS,
    )
    wanted = page.locator("[data-place]").count()
    reached = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached.append(int(page.evaluate("document.activeElement.dataset.place ?? -1")))
    assert wanted > 60
    assert reached == list(range(wanted))


def test_every_control_has_a_name(opened):
    page = opened(lifelike()[:40])
    nameless = page.evaluate(
        """(controls) => [...document.querySelectorAll(controls)].filter((n) => n.checkVisibility()).filter((n) =>
            !(n.getAttribute("aria-label") || n.textContent.trim() || (n.labels && n.labels.length))
        ).map((n) => n.outerHTML.slice(0, 80))""",
        CONTROLS.replace("select", "select:not(label select)"),
    )
    assert nameless == []


def test_the_page_has_landmarks_headings_in_order_and_a_skip_link(page):
    assert page.locator("header").count() == page.locator("main").count() == page.locator("nav").count() == 1
    levels = [int(tag[1]) for tag in page.locator("h1, h2, h3").evaluate_all("nodes => nodes.map((n) => n.tagName)")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"


def test_arrow_keys_walk_over_the_points_of_a_figure_and_enter_opens_one(page):
    node = plot(page)
    node.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert page.text_content("#spoken").startswith("checkpoint, 10 steps, ")
    assert page.locator("#tip b").text_content() == "checkpoint"
    assert "-e checkpoint --steps 10" in page.locator("#tip code").text_content()
    page.keyboard.press("Enter")
    assert page.locator("dialog h3").text_content() == "checkpoint"
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert node.evaluate("n => n === document.activeElement")


def test_enter_opens_the_command_of_a_line(page):
    page.locator("#cells tbody button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog code").text_content().startswith("gradbench run -c 'gaussian[")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


def test_the_focus_stays_on_the_heading_that_sorts(page):
    page.get_by_role("button", name="time (s)").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "time (s) ▲"


@pytest.mark.parametrize("width", [375, 320])
def test_a_phone_shows_the_page_without_sideways_scrolling(opened, width):
    long = "a-name-without-any-space-that-is-much-longer-than-a-phone-is-wide[" + "x" * 80 + "]"
    rows = [row | {"estimator": row["estimator"] + long, "reason": long * 2} for row in lifelike()[:60]]
    page = opened(rows, width=width)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_figures_on_a_phone_stand_one_below_the_other(opened):
    page = opened(lifelike()[:40], width=375)
    boxes = [page.locator(".plot").nth(place).bounding_box() for place in range(3)]
    assert len({box["x"] for box in boxes}) == 1
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 375 for box in boxes)
