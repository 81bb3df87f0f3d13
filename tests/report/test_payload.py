"""The data of the page: the input of its figures, packed unchanged, and never read as markup."""

import math

import pytest

from gradbench.analysis.cells import cells
from gradbench.report.payload import by_column, packed, page_panels, page_point, readings
from tests.page import records, unpacked
from tests.rows import cell, drawn, failed, row
from tests.runs import lifelike


def page(rows):
    """Points and panels."""
    found = cells(rows)
    known = [readings(each) for each in found]
    return [page_point(*pair) for pair in zip(found, known, strict=True)], page_panels(found, known)


def point(*rows):
    return page_point(cell(*rows), readings(cell(*rows)))


def test_a_panel_holds_one_case_and_one_sampler():
    points, panels = page(lifelike())
    assert [(panel["case"], panel["sampler"]) for panel in panels] == [
        ("gaussian", "ddim"), ("gaussian", "rk4"), ("digits", "ddim"), ("digits", "rk4"),
    ]  # fmt: skip
    assert sorted(index for panel in panels for index in panel["points"]) == list(range(len(points)))


def test_a_sampler_is_filtered_by_name_and_titled_by_label():
    panels = page([row(case=case, sampler_params={"grid": case}) for case in ("a", "b")])[1]
    assert [(panel["sampler"], panel["sampler_label"]) for panel in panels] == [
        ("ddim", "ddim[grid=a]"), ("ddim", "ddim[grid=b]"),
    ]  # fmt: skip


def test_no_point_of_a_front_is_beaten():
    points, panels = page(lifelike())
    pairs = {i: (points[i]["errors"]["flow x_T"]["shown"], points[i]["time_s"]) for i in panels[0]["points"]
             if "flow x_T" in points[i]["errors"]}  # fmt: skip
    beaten = {i for i, p in pairs.items() for q in pairs.values() if q != p and q[0] <= p[0] and q[1] <= p[1]}
    assert set(panels[0]["figures"]["flow x_T"]["fronts"]["time"]) == set(pairs) - beaten


def test_a_front_goes_from_the_cheapest_to_the_dearest():
    points, panels = page(lifelike())
    times = [points[i]["time_s"] for i in panels[0]["figures"]["flow x_T"]["fronts"]["time"]]
    assert times == sorted(times) and len(times) > 2


def test_a_figure_holds_all_of_its_points_against_the_reference_that_most_have():
    """No figure holds both cells that know the flow and cells that know only the expected gradient."""
    known = [row(name, flow=0.1, own=0.2) for name in ("backprop", "checkpoint")]
    (panel,) = page([*known, drawn(steps=10, expected=0.3)])[1]
    assert panel["best"] == {"x_T": "flow"}


def test_a_figure_without_a_measured_error_has_no_reference():
    (panel,) = page([failed()])[1]
    assert panel["best"] == {} and panel["figures"] == {}


def test_exact_zeros_stand_at_the_floor():
    found = point(row(own=0.0, reference_tol=1e-10))["errors"]["sampler x_T"]
    assert found == {"shown": 1e-10, "mark": "exact", "floor": 1e-10}


def test_an_error_that_is_not_finite_has_no_place_on_a_front():
    points, (panel,) = page([row(flow=math.nan), row("checkpoint", flow=0.1, time_s=9.0)])
    assert points[0]["errors"]["flow x_T"]["mark"] == "not finite"
    assert panel["figures"]["flow x_T"]["fronts"]["time"] == [1]


def test_an_error_of_several_seeds_has_its_quartiles_and_its_smallest_and_largest():
    found = point(*(row(seed=k, flow=e) for k, e in enumerate((0.1, 0.4, 0.2))))["errors"]["flow x_T"]
    assert (found["shown"], found["least"], found["most"]) == (0.2, 0.1, 0.4)
    assert (found["low"], found["high"]) == pytest.approx((0.15, 0.3))


def test_times_have_the_quartiles_of_all_samples_of_all_draws():
    found = point(*(row(seed=k, time_s=2.0, time_samples=[1.0, 2.0, 3.0], draws=10) for k in range(2)))
    assert found["costs"]["time"] == {"mid": 20.0, "low": 12.5, "high": 27.5}


def test_noise_is_relative_to_the_expected_gradient_and_not_to_the_mean():
    found = point(drawn(bias=0.5, std_error=0.1, snr=0.5, ratio=3.0, nfe=(30, 10, 5)))["splits"]["x_T"]
    assert found == {
        "spread": pytest.approx(6.0 * (40 / 1000) ** 0.5), "size": 0.5, "low": pytest.approx(0.3), "high": 0.7,
    }  # fmt: skip


def test_a_bias_that_its_own_error_hides_is_as_large_as_that_error():
    found = point(drawn(bias=0.1, std_error=0.1))["splits"]["x_T"]
    assert (found["size"], found["hidden"]) == (0.2, True)


def test_failed_cells_are_points_without_readings():
    points, _ = page(lifelike())
    lost = [point for point in points if point["failed"]]
    assert sorted(point["letter"] for point in lost) == ["D", "D", "M", "T"]
    assert not any(point["errors"] for point in lost)


@pytest.mark.parametrize(("nfe", "evaluations"), [((10, 30, 5), 40), ((10, None, 5), 10), ((None, None, 5), None)])
def test_evaluations_are_those_of_both_passes(nfe, evaluations):
    assert point(row(nfe=nfe))["costs"].get("nfe", {}).get("mid") == evaluations


def test_columns_become_the_records_again():
    given = [{"a": "x", "e": {"k": {"m": 1}}}, {"a": "y", "b": [1, 2]}, {}]
    assert records(by_column(given)) == given


def test_nested_records_become_columns_with_every_text_once():
    records = [{"a": "x", "e": {"k": 1}}, {"a": "y", "e": {}}, {"a": "x", "b": None}]
    assert by_column(records) == {
        "n": 3,
        "columns": {"a": {"words": ["x", "y"], "of": [0, 1, 0]}, "e/k": [1, None, None]},
    }


def test_numbers_keep_six_digits_and_those_that_json_lacks_become_words():
    values = [1 / 3, 12345678.0, float("inf"), float("nan"), None, True, 7]
    assert unpacked(packed(values)) == [0.333333, 12345678, "inf", "nan", None, True, 7]


def test_no_character_of_the_data_can_end_a_script():
    assert set(packed({"</script>": "<!--<script>"})) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    )


@pytest.mark.slow
def test_the_page_of_20000_rows_is_under_five_megabytes(large):
    assert large.stat().st_size < 5_000_000
