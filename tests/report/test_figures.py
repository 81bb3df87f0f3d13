"""What the figures are given."""

import pytest
import synthetic

from gradbench.analysis.cells import cells
from gradbench.report import figures


def drawn(rows):
    points = figures.points(cells(rows))
    return points, figures.panels(points)


def test_a_panel_holds_one_case_and_one_sampler():
    points, panels = drawn(synthetic.rows())
    assert [(panel["case"], panel["sampler"]) for panel in panels] == [
        ("gaussian", "ddim"), ("gaussian", "rk4"), ("digits", "ddim"), ("digits", "rk4"),
    ]  # fmt: skip
    assert sorted(index for panel in panels for index in panel["points"]) == list(range(len(points)))


def test_a_sampler_is_filtered_by_name_and_titled_by_label():
    rows = [{"case": case, "sampler": "ddim", "sampler_params": {"grid": case}} for case in ("a", "b")]
    panels = drawn(rows)[1]
    assert [(panel["sampler"], panel["sampler_label"]) for panel in panels] == [
        ("ddim", "ddim[grid=a]"), ("ddim", "ddim[grid=b]"),
    ]  # fmt: skip


def test_no_point_of_a_front_is_beaten():
    points, panels = drawn(synthetic.rows())
    panel = panels[0]
    pairs = {i: (points[i]["errors"]["flow x_T"]["shown"], points[i]["time_s"]) for i in panel["points"]
             if "flow x_T" in points[i]["errors"]}  # fmt: skip
    beaten = {i for i, p in pairs.items() for q in pairs.values() if q != p and q[0] <= p[0] and q[1] <= p[1]}
    assert set(panel["fronts"]["flow x_T time"]) == set(pairs) - beaten


def test_exact_zeros_stand_at_the_floor():
    points, _ = drawn(synthetic.rows())
    backprop = next(point for point in points if point["estimator"] == "backprop")
    assert backprop["errors"]["sampler x_T"] == {
        "shown": 1e-10,
        "mark": "exact",
        "floor": 1e-10,
    }


def test_a_reading_of_several_seeds_has_its_smallest_and_largest_error():
    rows = [{"status": "ok", "seed": k, "flow_error_x_T": e, "dtype": "float64"} for k, e in enumerate((0.1, 0.4, 0.2))]
    (point,) = drawn(rows)[0]
    reading = point["errors"]["flow x_T"]
    assert (reading["shown"], reading["low"], reading["high"]) == (0.2, 0.1, 0.4)


def test_times_have_the_quartiles_of_all_samples_of_all_draws():
    rows = [{"status": "ok", "seed": k, "time_s": 2.0, "time_samples": [1.0, 2.0, 3.0], "draws": 10} for k in range(2)]
    (point,) = drawn(rows)[0]
    assert point["total_time"] == 20.0
    assert point["total_spread"] == {"low": 12.5, "high": 27.5}


def test_noise_is_relative_to_the_expected_gradient_and_not_to_the_mean():
    known = {"bias_x_T": 0.5, "std_error_x_T": 0.1, "snr_x_T": 0.5, "bias_norm_x_T": 0.6, "draws": 100}
    counts = {"status": "ok", "nfe_forward": 30, "nfe_backward": 10}
    (point,) = drawn([known | counts | {"expected_norm_ratio_x_T": 3.0}])[0]
    assert point["splits"]["x_T"] == {
        "spread": pytest.approx(6.0 * (40 / 1000) ** 0.5), "size": 0.5, "low": pytest.approx(0.3), "high": 0.7,
    }  # fmt: skip


def test_a_bias_that_its_own_error_hides_is_as_large_as_that_error():
    known = {"bias_x_T": 0.1, "std_error_x_T": 0.1, "snr_x_T": 0.5, "bias_norm_x_T": 0.6, "draws": 100}
    (point,) = drawn([known | {"status": "ok", "nfe_forward": 30, "expected_norm_ratio_x_T": 3.0}])[0]
    assert (point["splits"]["x_T"]["size"], point["splits"]["x_T"]["hidden"]) == (0.2, True)


def test_failed_cells_are_points_without_readings():
    points, _ = drawn(synthetic.rows())
    failed = [point for point in points if point["status"] in ("oom", "timeout", "diverged")]
    assert sorted(point["letter"] for point in failed) == ["D", "D", "M", "T"]
    assert not any(point["errors"] for point in failed)


def test_evaluations_are_those_of_both_passes():
    points, _ = drawn([{"status": "ok", "nfe_forward": 10, "nfe_backward": 30}, {"status": "ok", "steps": 5}])
    assert [point["nfe"] for point in points] == [40, None]
