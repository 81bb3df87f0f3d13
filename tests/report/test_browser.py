"""What a reader chooses, reads and takes away: filters, figures, tables and files, in headless Chromium."""

import pytest

from tests.browser import choose, hover, plot, settle, taken, watched
from tests.runs import lifelike


def panels(page):
    return page.locator(".panel").evaluate_all("nodes => nodes.map((n) => [n.dataset.case, n.dataset.sampler])")


def symbols(page):
    """The markers of the first figure, by estimator."""
    traces = plot(page).evaluate("n => n.data.map((t) => [t.name, t.marker && t.marker.symbol])")
    return {name: found for name, found in traces if name and found}


def column(page, head):
    heads = [text.rstrip(" ▲▼↕") for text in page.locator("#cells thead th").all_text_contents()]
    return page.locator(f"#cells tbody td:nth-child({heads.index(head) + 1})").all_text_contents()


def test_nothing_complains_and_nothing_is_fetched(page):
    for place in range(6):
        plot(page, place)
    assert page.complaints == []
    assert page.locator(".js-plotly-plot").count() == 6


def test_figures_are_drawn_when_they_come_into_view(opened):
    page = opened([row | {"case": f"case-{k}"} for k in range(4) for row in lifelike()[:9]])
    assert page.locator(".plot").count() == 12
    assert page.locator(".plot").last.locator(".main-svg").count() == 0
    assert plot(page, 11).locator(".main-svg").count() > 0


def test_the_case_filter_chooses_figures_and_lines(page):
    assert panels(page) == [["gaussian", "ddim"], ["digits", "ddim"]]
    assert page.text_content("#shown") == "72 of 144 cells chosen"
    choose(page, "case", "digits")
    assert panels(page) == [["digits", "ddim"]]
    assert page.text_content("#shown") == "36 of 144 cells chosen"
    assert set(column(page, "case")) == {"digits"}


def test_the_sampler_filter_chooses_figures(page):
    choose(page, "sampler", "rk4")
    assert panels(page) == [["gaussian", "rk4"], ["digits", "rk4"]]


def test_the_dtype_filter_chooses_figures(page):
    choose(page, "dtype", "float32")
    assert panels(page) == [["digits", "ddim"]]


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
    found = symbols(page)
    assert set(found["backprop"]) == {"circle-open-dot"}
    assert set(found["checkpoint"]) == {"square-open"}
    assert set(found["spsa"]) == {"pentagon"}


def test_failures_are_drawn_at_the_edge(page):
    choose(page, "sampler", "rk4")
    for place in (3, 4, 5):
        letters = plot(page, place).evaluate("n => n.data.at(-1).text")
        assert sorted(letters) == ["D", "M", "T"]


def test_errors_of_several_seeds_have_bars(opened):
    rows = lifelike()
    rows += [row | {"seed": 1, "flow_error_x_T": 2 * row["flow_error_x_T"]} for row in rows if row["status"] == "ok"]
    bars = plot(opened(rows)).evaluate("n => n.data.find((t) => t.name === 'backprop').error_y")
    assert bars["array"][0] == pytest.approx(bars["arrayminus"][0]) and bars["array"][0] > 0


def test_the_target_filter_changes_the_error_shown(page):
    before = column(page, "error, best known, x_T")
    choose(page, "target", "parameters")
    assert column(page, "error, best known, parameters") != before


def test_a_press_in_the_legend_hides_an_estimator(page):
    page.get_by_role("button", name="spsa", exact=True).click()
    settle(page)
    assert "spsa" not in symbols(page)
    assert page.text_content("#shown") == "64 of 144 cells chosen"


def test_all_estimators_are_hidden_and_shown_at_once(page):
    page.get_by_role("button", name="hide all").click()
    page.get_by_role("button", name="backprop", exact=True).click()
    settle(page)
    assert list(symbols(page)) == ["backprop"]
    page.get_by_role("button", name="show all").click()
    settle(page)
    assert page.text_content("#shown") == "72 of 144 cells chosen"


def test_a_field_of_the_coverage_leads_to_its_cells(page):
    page.locator(".coverage tr[data-estimator=backprop] a").first.click()
    settle(page)
    assert set(column(page, "estimator")) == {"backprop"}
    assert set(column(page, "case")) == {"digits"}
    assert page.text_content("#shown") == "8 of 144 cells chosen"


def test_the_mouse_over_a_point_shows_its_row_and_command(page):
    hover(page, 0, 1)
    assert page.locator("#tip b").text_content() == "backprop"
    assert "gaussian, ddim, 10 steps, float64, cpu" in page.text_content("#tip")
    assert page.locator("#tip code").text_content().startswith("gradbench run -c 'gaussian[dim=6")


def test_the_ring_lies_around_the_point(page):
    hover(page, 0, 1)
    point, ring = (page.locator(name).bounding_box() for name in (".plot >> nth=0 >> .point >> nth=1", "#ring"))
    for side, size in (("x", "width"), ("y", "height")):
        assert ring[side] + ring[size] / 2 == pytest.approx(point[side] + point[size] / 2, abs=1)


def test_a_click_on_a_point_keeps_its_numbers_open(page):
    hover(page)
    page.mouse.down()
    page.mouse.up()
    assert "error against the sampler gradient, condition" in page.locator("dialog").text_content()


@pytest.mark.parametrize("width", [1280, 375])
def test_what_the_mouse_shows_lies_inside_the_window(opened, width):
    page = opened(lifelike()[:40], width=width)
    hover(page, 0, 0)
    box = page.locator("#tip").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] >= 0


def test_a_column_is_sorted_both_ways(page):
    page.get_by_role("button", name="time (s)").click()
    times = [float(time) for time in column(page, "time (s)") if time]
    assert times == sorted(times) and len(times) > 60
    page.get_by_role("button", name="time (s)").click()
    times = [float(time) for time in column(page, "time (s)") if time]
    assert times == sorted(times, reverse=True)
    heads = page.locator("#cells th[aria-sort=descending]").all_text_contents()
    assert heads == ["time (s) ▼"]


def test_what_has_no_number_is_sorted_last_both_ways(page):
    for _ in range(2):
        page.get_by_role("button", name="time (s)").click()
        times = column(page, "time (s)")
        assert times[-1] == "" and times.index("") == len([time for time in times if time])


def test_a_table_that_stands_in_the_page_is_sorted(page):
    table = page.locator("table[data-name='estimators against the sampler gradient']")
    table.get_by_role("button", name="memory").click()
    found = [
        float(text.rstrip(" ×").replace(",", "")) for text in table.locator("td:nth-last-child(2)").all_text_contents()
    ]
    assert found == sorted(found) and len(found) == 8


def test_the_table_is_turned_over_by_hundreds(opened):
    page = opened([row | {"case": f"case-{k}"} for k in range(4) for row in lifelike()])
    assert page.text_content("#shown") == "288 of 576 cells chosen, lines 1 to 100"
    page.click("#after")
    page.click("#after")
    assert page.text_content("#shown") == "288 of 576 cells chosen, lines 201 to 288"
    assert page.locator("#cells tbody tr").count() == 88
    assert page.locator("#after").is_disabled()


def test_the_file_holds_the_lines_chosen(page):
    choose(page, "case", "gaussian")
    name, text = taken(page, page.locator("#csv"))
    lines = text.decode().split("\r\n")
    assert name == "gradbench.csv"
    assert lines[0].startswith("case,sampler,steps,estimator,status,flow_error_x_T")
    assert len(lines) == 36 + 2


def test_a_figure_is_saved_as_picture_drawing_and_numbers(page):
    plot(page)
    tools = page.locator(".tools").first
    name, png = taken(page, tools.get_by_text("PNG"))
    assert name == "gradbench_error_against_time_gaussian_ddim_float64.png" and png.startswith(b"\x89PNG")
    _, svg = taken(page, tools.get_by_text("SVG"))
    assert b"<svg" in svg and b"checkpoint" in svg and b"relative L2 error of the x_T gradient" in svg
    _, numbers = taken(page, tools.get_by_text("CSV"))
    assert numbers.decode().count("\r\n") == 36 + 1
    assert page.complaints == []


def test_twelve_panels_are_shown_at_first_and_more_on_demand(opened):
    page = opened([row | {"case": f"case-{k}"} for k in range(15) for row in lifelike()[:5]])
    assert page.locator(".panel").count() == 12
    page.get_by_role("button", name="Show 3 more of 3 panels").click()
    settle(page)
    assert page.locator(".panel").count() == 15


@pytest.mark.slow
def test_20000_rows_are_filtered_and_sorted(browser, large):
    page = watched(browser)
    page.goto(large.as_uri())
    settle(page)
    choose(page, "sampler", "sampler-3")
    choose(page, "case", "case-7")
    assert page.text_content("#shown") == "250 of 20,000 cells chosen, lines 1 to 100"
    page.get_by_role("button", name="peak (MiB)").click()
    peaks = [float(peak) for peak in column(page, "peak (MiB)")]
    assert peaks == sorted(peaks) and len(peaks) == 100
    plot(page)
    assert page.complaints == []
    page.close()


@pytest.mark.parametrize("rows", [[], [{}], [{"status": "oom", "steps": 5, "case": "a"}]], ids=["none", "blank", "oom"])
def test_a_run_without_numbers_complains_of_nothing(opened, rows):
    assert opened(rows).complaints == []
