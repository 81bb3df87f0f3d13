"""The page as a reader meets it, in headless Chromium."""

import shutil

import pytest
import synthetic

from gradbench.report.html import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary is on the PATH")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """Opens a report of the given rows, waits until every figure is drawn, and returns the page with its complaints."""
    pages = []

    def open_report(rows, width=1280):
        path = write_report(rows, tmp_path_factory.mktemp("report") / "report.html", command="gradbench run")
        page = browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (page.complaints.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: _local(request.url) or page.complaints.append(request.url))
        page.goto(path.as_uri())
        settle(page)
        pages.append(page)
        return page

    yield open_report
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def page(opened):
    return opened(synthetic.rows())


@pytest.fixture(autouse=True)
def unfiltered(request):
    """Every test that shares the page finds it as it was opened."""
    yield
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        page.reload()
        settle(page)


def _local(url):
    return url.startswith(("file:", "data:", "blob:"))


def settle(page):
    page.wait_for_selector("#panels[aria-busy=false], body:not(:has(#panels))", state="attached")


def choose(page, key, value):
    page.select_option(f"#f-{key}", value)
    settle(page)


def panels(page):
    return page.locator(".panel").evaluate_all("nodes => nodes.map((n) => [n.dataset.case, n.dataset.sampler])")


def symbols(page):
    """The markers of the first figure, by estimator."""
    traces = page.locator(".plot").first.evaluate("n => n.data.map((t) => [t.name, t.marker && t.marker.symbol])")
    return {name: found for name, found in traces if name}


def test_nothing_complains_and_nothing_is_fetched(page):
    assert page.complaints == []
    assert page.locator(".js-plotly-plot").count() == 6


def test_the_case_filter_chooses_figures_and_lines(page):
    assert panels(page) == [["gaussian", "ddim"], ["digits", "ddim"]]
    assert page.text_content("#shown") == "72 of 144 cells shown"
    choose(page, "case", "digits")
    assert panels(page) == [["digits", "ddim"]]
    assert page.text_content("#shown") == "36 of 144 cells shown"


def test_the_sampler_filter_chooses_figures(page):
    choose(page, "sampler", "rk4")
    assert panels(page) == [["gaussian", "rk4"], ["digits", "rk4"]]


def test_a_choice_while_figures_are_drawn_complains_of_nothing(page):
    page.evaluate(
        """async () => {
            for (const [key, value] of [["sampler", "rk4"], ["reference", "sampler"], ["sampler", "ddim"]]) {
                const select = document.getElementById("f-" + key);
                select.value = value;
                select.dispatchEvent(new Event("change"));
                if (key === "reference") await new Promise((resume) => setTimeout(resume));
            }
        }"""
    )
    settle(page)
    assert page.complaints == []
    assert panels(page) == [["gaussian", "ddim"], ["digits", "ddim"]]


def test_exact_and_floored_points_are_marked(page):
    choose(page, "reference", "sampler")
    assert set(symbols(page)["backprop"]) == {"circle-open-dot"}
    assert set(symbols(page)["checkpoint"]) == {"square-open"}
    assert set(symbols(page)["spsa"]) == {"pentagon"}


def test_failures_are_drawn_at_the_edge(page):
    choose(page, "sampler", "rk4")
    for place in (3, 4, 5):
        letters = page.locator(".plot").nth(place).evaluate("n => n.data.at(-1).text")
        assert sorted(letters) == ["D", "M", "T"]


def test_the_target_filter_changes_the_error_shown(page):
    choose(page, "target", "parameters")
    assert page.locator("#cells th").nth(5).text_content() == "error, best known, parameters"


def test_a_press_in_the_legend_hides_an_estimator(page):
    page.get_by_role("button", name="spsa", exact=True).click()
    settle(page)
    assert "spsa" not in symbols(page)
    assert page.text_content("#shown") == "64 of 144 cells shown"


def test_all_estimators_are_hidden_and_shown_at_once(page):
    page.get_by_role("button", name="hide all").click()
    page.get_by_role("button", name="backprop", exact=True).click()
    settle(page)
    assert list(symbols(page)) == ["backprop"]
    page.get_by_role("button", name="show all").click()
    settle(page)
    assert page.text_content("#shown") == "72 of 144 cells shown"


def test_a_column_is_sorted_both_ways(page):
    def times():
        return [float(t) for t in page.locator("#cells tbody td:nth-child(8)").all_text_contents() if t]

    page.get_by_role("button", name="time (s)").click()
    assert times() == sorted(times())
    page.get_by_role("button", name="time (s)").click()
    assert times() == sorted(times(), reverse=True)


def test_the_keyboard_reaches_the_command_of_a_cell(page):
    page.locator("#cells tbody button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog code").text_content().startswith("gradbench run -c 'gaussian[")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


def test_the_file_holds_the_lines_shown(page):
    choose(page, "case", "gaussian")
    with page.expect_download() as download:
        page.click("#csv")
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        lines = file.read().split("\r\n")
    assert lines[0].startswith("case,sampler,steps,estimator,status,flow_error_x_T")
    assert len(lines) == 36 + 2


def test_a_phone_shows_the_page_without_sideways_scrolling(opened):
    page = opened(synthetic.rows(), width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_markup_in_names_is_read_not_run(opened):
    rows = [row | {"case": EVIL, "estimator": EVIL + row["estimator"], "dtype": EVIL} for row in synthetic.rows()[:20]]
    page = opened(rows)
    page.locator("#cells tbody button").first.click()
    assert page.complaints == []
    assert page.locator("img").count() == 0
    assert EVIL in page.locator("dialog h3").text_content()


@pytest.mark.parametrize("rows", [[], [{}], [{"status": "oom", "steps": 5, "case": "a"}]], ids=["none", "blank", "oom"])
def test_a_run_without_numbers_complains_of_nothing(opened, rows):
    assert opened(rows).complaints == []
