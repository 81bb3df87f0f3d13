"""Error against steps, cosine and norm ratio against steps."""

import pytest

from gradbench.report.points import NoData
from gradbench.report.static.steps import LEAST, convergence, direction
from tests.rows import failed, row

STEPS = (5, 10, 20, 40)


def slopes():
    first = [row("backprop", n, 2.0 / n) for n in STEPS]
    return first + [row("adjoint-dpm", n, 9.0 / n**2 if n > 5 else 3.0) for n in STEPS]


def test_the_fitted_order_is_the_known_slope():
    _, table = convergence(slopes())
    orders = table.drop_duplicates("estimator").set_index("estimator")
    assert orders.order["backprop"] == pytest.approx(1.0)
    assert orders.order["adjoint-dpm"] == pytest.approx(2.0)
    assert dict(orders.order_points) == {"backprop": 4, "adjoint-dpm": 3}
    assert (orders.order_low <= orders.order).all() and (orders.order <= orders.order_high).all()


def test_the_legend_tells_the_order_with_its_interval():
    figure, _ = convergence(slopes())
    assert figure.legends[0].texts[0].get_text() == "backprop: 1.00 ± 0.00"


def test_the_floor_is_drawn_where_points_are_near_it():
    figure, _ = convergence([row("backprop", n, 0.0) for n in STEPS])
    assert "floor of the reference: below 1e-12" in [text.get_text() for text in figure.legends[0].texts]


def test_a_failure_is_a_letter_at_its_steps():
    figure, _ = convergence([*slopes(), failed("backprop", 80, "timeout")])
    (note,) = figure.axes[0].texts
    assert (note.get_text(), note.xy[0]) == ("T", 80)


def test_one_number_of_steps_shows_no_convergence():
    with pytest.raises(NoData, match="two numbers of steps"):
        convergence([row("backprop", 5, 0.1)])


def test_direction_shows_what_a_wrong_length_hides():
    given = [row("backprop", 5, 9.0, flow_cosine_x_T=1.0, flow_norm_ratio_x_T=10.0)]
    _, table = direction(given)
    assert (table.one_minus_cosine[0], table.norm_ratio[0]) == (LEAST, 10.0)


def test_direction_has_quartiles_over_rows():
    given = [
        row("backprop", 5, 0.1, seed=i, flow_cosine_x_T=1 - c, flow_norm_ratio_x_T=r)
        for i, (c, r) in enumerate([(0.1, 1.0), (0.2, 2.0), (0.4, 3.0)])
    ]
    _, table = direction(given)
    line = table.iloc[0]
    assert tuple(line[["norm_ratio_low", "norm_ratio", "norm_ratio_high"]]) == (1.5, 2.0, 2.5)
    assert tuple(line[["one_minus_cosine_low", "one_minus_cosine_high"]]) == (pytest.approx(0.15), pytest.approx(0.3))


def test_direction_needs_a_cosine():
    with pytest.raises(NoData, match="cosine"):
        direction([row("backprop", 5, 0.1)])


def test_rounding_tells_no_order_and_is_drawn_as_a_line():
    given = [row("checkpoint", n, error, dtype="float32") for n, error in ((5, 3e-6), (20, 1.5e-6))]
    figure, table = convergence(given + [row("adjoint-deis", n, 0.9 / n, dtype="float32") for n in (5, 20)])
    orders = table.drop_duplicates("estimator").set_index("estimator").order
    assert orders["adjoint-deis"] == pytest.approx(1.0) and orders.isna()["checkpoint"]
    assert "rounding unit of float32: 1.2e-07" in [text.get_text() for text in figure.legends[0].texts]


def test_who_has_no_such_error_is_named():
    figure, _ = convergence([*slopes(), row("draft", 20)])
    assert "Without such an error: draft." in figure.legends[0].get_title().get_text()
