"""Bias and variance, backward grids, dtypes, and sizes."""

import pytest

from gradbench.report.points import NoData
from gradbench.report.static.bias_variance import bias_variance
from gradbench.report.static.sizes import precision, scaling_batch, scaling_dimension
from gradbench.report.static.steps import backward_grid
from tests.rows import drawn, row


def sampled(steps=20, bias=-0.5):
    """Noise 2 per draw of 40 evaluations."""
    return drawn("draft", steps, bias=bias, std_error=0.1, snr=0.5, distance=0.5, ratio=1.0, draws=10**6, expected=0.5)


def test_bias_and_variance_are_split_for_a_thousand_evaluations():
    _, table = bias_variance([sampled()])
    line = table.iloc[0]
    assert (line.noise, line.nfe) == (2.0, 40.0)
    assert line.bias_share == pytest.approx(0.25, abs=1e-4)
    assert line.variance_share == pytest.approx(4.0 * 40 / 1000)


def test_bias_is_drawn_with_two_standard_errors_either_way():
    figure, _ = bias_variance([sampled()])
    ends = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert [pytest.approx(-0.7), pytest.approx(-0.3)] in [list(end) for end in ends]


def test_of_an_estimator_that_draws_the_most_steps_are_drawn_and_all_are_in_the_table():
    figure, table = bias_variance([sampled(10, bias=-0.9), sampled(20, bias=-0.2)])
    assert sorted(table.steps) == [10, 20]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["draft"]


def test_ten_estimators_are_drawn_and_all_are_in_the_table():
    names = [
        "draft",
        "refl",
        "drtune",
        "shortcut",
        "leapalign",
        "flowbp",
        "srpo",
        "nft",
        "awm",
        "ram",
        "fdfo",
        "reinforce",
    ]
    rows = [
        drawn(
            name, 20, bias=-0.1 * i, std_error=0.1, snr=0.5, distance=0.1 * i, ratio=1.0, draws=10**6, expected=0.1 * i
        )
        for i, name in enumerate(names)
    ]
    figure, table = bias_variance(rows)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == names[:10]
    assert sorted(table.estimator) == sorted(names)


def test_estimators_that_do_not_draw_have_no_bias():
    with pytest.raises(NoData, match="no estimator that draws"):
        bias_variance([row("backprop", 20, 0.1)])


def adjoints():
    grid = [(4, 0.4), (10, 0.2), (None, 0.05)]
    given = [row("continuous-adjoint", 40, error, options={"steps": m, "rule": "ab2"}) for m, error in grid]
    return [*given, row("checkpoint", 40, 0.07), row("checkpoint", 80, 0.01)]


def test_backward_steps_are_those_of_the_option_or_the_samplers():
    _, table = backward_grid(adjoints())
    assert list(zip(table.forward_steps, table.backward_steps, table.error, strict=True)) == [
        (40, 4, 0.4), (40, 10, 0.2), (40, 40, 0.05),
    ]  # fmt: skip


def test_backward_grids_are_held_against_the_exact_transpose_of_as_many_steps():
    figure, _ = backward_grid(adjoints())
    levels = [line.get_ydata()[0] for line in figure.axes[0].lines if "exact" in str(line.get_label())]
    assert levels == [0.07]


def test_backward_grids_that_are_the_samplers_show_nothing():
    with pytest.raises(NoData, match="grid other than"):
        backward_grid([row("continuous-adjoint", 40, 0.1, options={"steps": None})])


def dtypes(**parts):
    return [
        row("checkpoint", 10, error, dtype=dtype, **parts) for dtype, error in [("float64", 1e-9), ("float32", 1e-6)]
    ]


def test_an_error_by_dtype_has_its_rounding_unit():
    _, table = precision(dtypes())
    assert dict(zip(table.dtype, table.unit, strict=True)) == {"float64": 2.0**-52, "float32": 2.0**-23}
    assert table.method_error.isna().all()


def test_an_error_is_parted_where_rows_have_its_parts():
    figure, table = precision(dtypes(method_error_x_T=1e-7, rounding_error_x_T=3e-7))
    assert set(table.method_error) == {1e-7} and set(table.rounding_error) == {3e-7}
    assert "error of rounding alone" in [text.get_text() for text in figure.legends[0].texts]


def test_one_dtype_is_no_comparison():
    with pytest.raises(NoData, match="two dtypes"):
        precision(dtypes()[:1])


def test_sizes_come_from_the_case_in_order():
    sizes = [(200, 0.2, 4.0), (2, 0.1, 1.0), (20, 0.15, 2.0)]
    given = [row("checkpoint", 20, e, case_params={"dim": d, "batch": 4}, time_s=t) for d, e, t in sizes]
    _, table = scaling_dimension(given)
    assert list(zip(table.dim, table.error, table.time_s, strict=True)) == [
        (2, 0.1, 1.0),
        (20, 0.15, 2.0),
        (200, 0.2, 4.0),
    ]


def test_one_size_is_no_scaling():
    with pytest.raises(NoData, match="two values of batch"):
        scaling_batch([row("checkpoint", 20, 0.1)])
