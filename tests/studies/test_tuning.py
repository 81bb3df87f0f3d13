"""Learning rates of the suite of tasks are those that the published sweep chooses."""

from gradbench.bench.load import load_rows
from gradbench.bench.plan import make_plan
from gradbench.bench.row import Row
from gradbench.bench.suite import load_suite
from studies.tuning import PUBLISHED, chosen, place_of
from tests.runs import of_a_task

SWEPT_ITSELF = "morph"  # its rates are a question of the suite


def swept(rates):
    return [
        Row(row | {"case_params": {"lr": rate}, "sampler_params": {}, "estimator_params": {}, "last_objective": end})
        for row in of_a_task()[:1]
        for rate, end in rates.items()
    ]


def test_the_rate_with_the_best_objective_is_chosen():
    assert list(chosen(swept({0.01: -3.0, 0.03: -1.0, 0.1: -2.0})).values()) == [0.03]


def test_a_rate_that_diverged_is_not():
    rows = swept({0.01: -3.0, 0.03: -1.0})
    rows[1]["status"] = "diverged"
    assert list(chosen(rows).values()) == [0.01]


def cells():
    planned = make_plan(load_suite("tasks").blocks, 1)
    return [item.cell for item in planned if item.cell["case"] != SWEPT_ITSELF]


def test_every_rate_of_the_suite_is_the_sweeps():
    rates = chosen(load_rows(PUBLISHED))
    wrong = {place_of(c): (c["case_params"]["lr"], rates.get(place_of(c))) for c in cells()}
    assert {place: pair for place, pair in wrong.items() if pair[0] != pair[1]} == {}
