"""Which rows may stand in one figure."""

from gradbench.analysis.panel import panels
from tests.rows import row

ROW = row(case_params={"dim": 6}, machine_class=None, device=None)


def titles(rows, pooled=()):
    return [panel.title for panel in panels(rows, pooled)]


def test_rows_of_other_cases_samplers_and_dtypes_stand_apart():
    rows = [ROW, ROW | {"sampler": "rk4"}, ROW | {"dtype": "float32"}, ROW | {"seed": 1, "estimator": "b"}]
    assert titles(rows) == ["gaussian, ddim, float64", "gaussian, rk4, float64", "gaussian, ddim, float32"]
    assert [len(panel.rows) for panel in panels(rows)] == [2, 1, 1]


def test_a_title_names_the_options_in_which_cases_differ():
    rows = [ROW, ROW | {"case_params": {"dim": 20}}]
    assert titles(rows) == ["gaussian[dim=6], ddim, float64", "gaussian[dim=20], ddim, float64"]


def test_pooled_columns_and_parameters_do_not_part_rows():
    assert titles([ROW, ROW | {"case_params": {"dim": 20}}], ("dim",)) == ["gaussian, ddim, float64"]
    assert titles([ROW, ROW | {"dtype": "float32"}], ("dtype",)) == ["gaussian, ddim"]


def test_machines_are_named_only_where_nothing_else_tells_panels_apart():
    rows = [ROW | {"machine_class": "one"}, ROW | {"machine_class": "two"}, ROW | {"sampler": "rk4"}]
    assert titles(rows) == ["gaussian, ddim, float64, one, x_T", "gaussian, ddim, float64, two, x_T",
                            "gaussian, rk4, float64"]  # fmt: skip


def test_a_title_says_that_weights_are_random():
    assert titles([ROW | {"weights": "random weights (seed 0)"}]) == [
        "gaussian, ddim, float64, random weights (seed 0)"
    ]
