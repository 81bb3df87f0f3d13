"""Earlier predictions are read if everything that decides them is the same, and not otherwise."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbench.bench import predictions as foretold
from gradbench.bench.cell import Cell
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block
from gradbench.measure.predict import Prediction

PUBLISHED = sorted(
    file for file in foretold.published_folder().glob("*predict*.json") if "environment" not in file.name
)
GIVEN = [(file.name, row) for file in PUBLISHED for row in json.loads(file.read_text()) if "peak_bytes" in row]
SD15 = next(row for _, row in GIVEN if row["case"] == "sd15" and row["estimator"] == "checkpoint")
MADE = Prediction(4, 100, 50, None, "carried out whole", 8, 16, 4, 2)


def other(value):
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else "other"


def cell(case="gaussian", estimator="checkpoint", **changes):
    return replace(make_plan([Block([case], ["ddim"], [estimator], steps=[4])], 1)[0].cell, **changes)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty cache folder, and the cells that were predicted."""
    made = []

    def predict(cell, known, slope, say):
        made.append(cell)
        return Prediction(**{**vars(MADE), "slope": 3.0 if slope else None})

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(foretold, "predict_cell", predict)
    return made


@pytest.fixture
def other_packages(monkeypatch):
    foretold._published.cache_clear()
    monkeypatch.setattr(foretold, "version", lambda name: "1.0.0")
    yield
    foretold._published.cache_clear()


def test_every_published_prediction_is_read_for_its_own_cell_from_the_newest_file():
    newest = {json.dumps([row[key] for key in foretold.DECIDING], sort_keys=True): (name, row) for name, row in GIVEN}
    for name, row in newest.values():
        found = foretold.published(row)
        assert found is not None and (found.peak, found.baseline) == (row["peak_bytes"], row["baseline_bytes"])
        assert found.how.startswith(f"read from results/published/{name}: ")


@settings(deadline=None)
@given(st.data())
def test_a_published_prediction_is_read_for_no_other_cell(data):
    name = data.draw(st.sampled_from([n for n in foretold.DECIDING if n != "estimator"]))
    value = SD15[name]
    if isinstance(value, dict):
        option = data.draw(st.sampled_from(sorted(value)))
        changed = {**value, option: other(value[option])}
    else:
        changed = ["x_T", "condition"] if name == "targets" else other(value)
    asked = {**SD15, name: changed}
    if not any(all(row[key] == asked[key] for key in foretold.DECIDING) for _, row in GIVEN):
        assert foretold.published(asked) is None


def test_a_published_prediction_serves_every_seed_and_device():
    assert foretold.published({**SD15, "seed": 3, "device": "cuda"}) == foretold.published(SD15)


def test_a_published_prediction_of_other_packages_is_not_read(other_packages):
    assert foretold.published(SD15) is None


def test_what_was_predicted_is_kept_and_read(kept):
    first, again = (foretold.foretell(cell(), {}) for _ in range(2))
    assert len(kept) == 1 and again.peak == first.peak == 100
    assert again.how == "kept from an earlier call: carried out whole"


def test_anew_predicts_what_is_kept(kept):
    for _ in range(2):
        foretold.foretell(cell(), {}, anew=True)
    assert len(kept) == 2


def test_a_kept_prediction_without_a_slope_does_not_serve_who_asks_for_one(kept):
    foretold.foretell(cell(), {}, slope=False)
    assert foretold.foretell(cell(), {}).slope == 3.0
    assert foretold.foretell(cell(), {}, slope=False).slope == 3.0 and len(kept) == 2


@pytest.mark.parametrize("name", ["version", "fingerprint"])
def test_nothing_is_read_that_other_code_made(kept, monkeypatch, name):
    foretold.foretell(cell(), {})
    monkeypatch.setattr(foretold, name, lambda given: "another")
    foretold.foretell(cell(), {})
    assert len(kept) == 2


@pytest.mark.parametrize("mine", [replace(cell(), estimator="gradbench:Estimator"), cell("sd-tiny[weights=mine]")])
def test_nothing_of_the_users_own_is_kept(kept, mine):
    for _ in range(2):
        foretold.foretell(mine, {})
    assert len(kept) == 2


def test_a_folder_that_cannot_be_written_to_is_no_failure(kept, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert foretold.foretell(cell(), {}).peak == 100


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for _, row in GIVEN], ids=lambda row: f"{row['case']} {row['estimator']}")
def test_published_predictions_are_what_this_code_predicts(row):
    found = foretold.predict_cell(Cell.of(row), slope=False)
    assert (found.peak, found.baseline) == (row["peak_bytes"], row["baseline_bytes"])
