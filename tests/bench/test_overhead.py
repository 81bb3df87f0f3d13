"""What a cell costs besides its passes, and what is started for a plan."""

import json

import pytest

from gradbench.bench.isolate import Isolation
from gradbench.bench.plan import make_plan
from gradbench.bench.runner import Run, execute
from gradbench.bench.store import Store
from gradbench.bench.suite import Block


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A small run of a pipeline's network."""
    planned = make_plan([Block(["sd-tiny"], ["ddim"], ["checkpoint", "adjoint-deis"], [2], passes=["error"])], 1)
    found = []
    store = Store(tmp_path_factory.mktemp("rows"))
    execute(planned, store, Run("overhead", trace=True), found.append)
    return [{**row, "folder": store.folder} for row in found]


def test_a_cell_of_a_pipeline_costs_less_than_five_seconds_besides_its_passes(rows):
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert all(row["wall_s"] - row["passes_s"] < 5 for row in rows)


def test_a_trace_of_every_cell_is_kept_if_asked_for(rows):
    for row in rows:
        events = json.loads((row["folder"] / "traces" / f"{row['cell_id']}.json").read_text())["traceEvents"]
        assert {"aten::convolution", "aten::convolution_backward"} <= {event.get("name") for event in events}


@pytest.mark.parametrize(("estimator", "engine"), [("reversible", "local"), ("checkpoint", "inline")])
def test_no_server_is_started_that_no_cell_needs(tmp_path, monkeypatch, estimator, engine):
    monkeypatch.setattr(Isolation, "warm", lambda self: pytest.fail("a server was started"))
    planned = make_plan([Block(["gaussian"], ["ddim"], [estimator], [2], passes=["error"])], 1)
    execute(planned, Store(tmp_path), Run("none", engine), lambda row: None)


def test_the_server_is_warm_before_the_first_cell(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(Isolation, "warm", lambda self: order.append("warm"))
    monkeypatch.setattr(Isolation, "run_isolated", lambda *given: order.append("cell") or {"status": "ok"})
    planned = make_plan([Block(["gaussian"], ["ddim"], ["checkpoint", "backprop"], [2])], 1)
    execute(planned, Store(tmp_path), Run("order"), lambda row: None)
    assert order == ["warm", "cell", "cell"]
