"""Page and print draw the same numbers: what the page is given is in the tables of the print figures."""

import shlex
from collections import Counter

import pytest

from gradbench.analysis.panel import panels
from gradbench.bench.load import load_rows
from gradbench.problems.spec import TARGETS
from gradbench.report.html import context
from gradbench.report.points import Ask, NoData
from gradbench.report.static.bias_variance import bias_variance
from gradbench.report.static.canvas import byte_unit, plain
from gradbench.report.static.memory import LEVELS, memory_steps
from gradbench.report.static.statuses import coverage
from gradbench.report.static.work_precision import work_precision
from tests.bench.helpers import ROOT
from tests.page import records, unpacked
from tests.runs import everything, lifelike

PUBLISHED = ROOT / "results" / "published" / "2026-11-21-ci-cpu"
RUNS = {"by hand": everything, "lifelike": lambda: lifelike(seeds=3), "published": lambda: load_rows(PUBLISHED)}
LARGEST = 2  # panels of a run that are compared, those of most rows


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    """Rows, their page, and for the largest panels the rows for print beside the page's panel and points."""
    rows = RUNS[request.param]()
    page = context(rows)
    data = unpacked(page["data"])
    points = records(data["points"])
    pairs = list(zip(panels(rows), data["panels"], strict=True))
    pairs.sort(key=lambda pair: -len(pair[0].rows))
    sides = [(printed.rows, shown, {at: points[at] for at in shown["points"]}) for printed, shown in pairs[:LARGEST]]
    return rows, page, sides


@pytest.fixture
def sides(run):
    return run[2]


def name_of(point):
    """The estimator with all its options, and the steps, as in a table's line."""
    words = shlex.split(point["command"])
    return words[words.index("-e") + 1], point["steps"]


def lines(table):
    return {(line["options"], line["steps"]): line for line in table.to_dict("records")}


def near(*numbers):
    """To the six digits that the page has."""
    return pytest.approx(numbers, rel=5e-6)


def quartiles(spread, middle):
    return middle, spread.get("low", middle), spread.get("high", middle)


def shown(point, key):
    """The error that the page's script draws: itself, or its floor."""
    error = point["errors"][key]
    return point[key.replace(" ", "_error_")] if error["mark"] == "value" else error["floor"]


def drawn_of(points, key, kind):
    """The points of a figure of errors, as the page's script chooses them."""
    measured = {at: p for at, p in points.items() if kind in p.get("costs", {}) and key in p.get("errors", {})}
    return {at: p for at, p in measured.items() if p["errors"][key]["mark"] != "not finite"}


def figures_of(sides):
    """Every figure of errors: points, the figure's name and numbers on the page, figure and table in print."""
    for rows, panel, points in sides:
        for key, figure in panel["figures"].items():
            yield points, key, figure, *work_precision(rows, Ask(*key.split(" ")))


def test_errors_against_work_are_those_of_print(sides):
    compared = 0
    for points, key, figure, _, table in figures_of(sides):
        for kind in ("time", "nfe"):
            printed, drawn = lines(table[table.cost == kind]), drawn_of(points, key, kind)
            assert {name_of(point) for point in drawn.values()} == set(printed)
            for at, point in drawn.items():
                line, cost, error = printed[name_of(point)], point["costs"][kind], point["errors"][key]
                assert quartiles(cost, cost["mid"]) == near(line["value"], line["value_low"], line["value_high"])
                assert quartiles(error, shown(point, key)) == near(line["error"], line["error_low"], line["error_high"])
                assert (error["mark"], at in figure["fronts"][kind]) == (line["mark"], line["front"])
                compared += 1
    assert compared > 20


def test_the_floor_is_that_of_print_and_is_shown_where_print_shows_it(sides):
    for _, _, figure, drawn, _ in figures_of(sides):
        told = [text.get_text() for text in drawn.legends[0].texts]
        assert (f"floor of the reference: below {plain(figure['floor'])}" in told) == figure["near"]


def test_the_reference_that_is_best_known_is_the_one_that_print_chooses(sides):
    for rows, panel, _ in sides:
        for target in panel["best"]:
            assert set(work_precision(rows, Ask(target=target))[1].reference) == {panel["best"][target]}


def test_targets_without_an_error_have_a_figure_on_neither_side(sides):
    for rows, panel, _ in sides:
        for target in set(TARGETS) - set(panel["best"]):
            with pytest.raises(NoData):
                work_precision(rows, Ask(target=target))


def test_memory_against_steps_is_that_of_print(sides):
    for rows, _, points in sides:
        printed = lines(memory_steps(rows)[1])
        drawn = {name_of(p): p["costs"]["memory"] for p in points.values() if "memory" in p.get("costs", {})}
        assert set(drawn) == set(printed)
        for name, size in drawn.items():
            line = printed[name]
            whole = (line["peak_bytes"], line["peak_bytes_low"], line["peak_bytes_high"])
            assert quartiles(size, size["mid"]) == near(*whole)


def test_one_state_and_one_tape_are_lines_as_high_as_in_print(sides):
    for rows, panel, _ in sides:
        figure, table = memory_steps(rows)
        told = [text.get_text() for text in figure.legends[0].texts]
        scale, unit = byte_unit(table.peak_bytes.max())
        for column, (words, _) in LEVELS.items():
            size = panel["levels"].get(column)
            named = [text for text in told if text.startswith(f"{words}: ")]
            assert named == ([] if size is None else [f"{words}: {plain(size / scale)} {unit}"])


def test_bias_and_noise_are_those_of_print(run):
    rows, page, _ = run
    data, compared = unpacked(page["data"]), 0
    points = records(data["points"])
    for printed, panel in zip(panels(rows), data["panels"], strict=True):
        for target in TARGETS:
            drawn = [points[at] for at in panel["points"] if target in points[at].get("splits", {})]
            if not drawn:
                continue
            table = lines(bias_variance(printed.rows, Ask(target=target))[1])
            assert {name_of(point) for point in drawn} == set(table)
            for point in drawn:
                line, split = table[name_of(point)], point["splits"][target]
                margin = 2 * line["std_error"]
                assert (split["spread"] ** 2, split["size"]) == near(
                    line["variance_share"], max(abs(line["bias"]), margin)
                )
                assert split.get("hidden", False) == (abs(line["bias"]) <= margin)
                compared += 1
    assert bool(compared) == any(row.get("draws") for row in rows)


def test_statuses_are_counted_as_in_print(run):
    rows, page, _ = run
    printed, shown = Counter(), Counter()
    for line in coverage(rows)[1].to_dict("records"):
        printed[line["options"].partition("[")[0], line["status"] or "lost"] += line["rows"]
    for label, boxes in page["matrix"]:
        for status, count in (entry for box in boxes for entry in box):
            shown[label.partition("[")[0], status] += count
    assert shown == printed
