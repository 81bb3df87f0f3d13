"""The plan: identities, skips and refusals, without torch."""

import json
import shlex

import pytest
from click.testing import CliRunner

from gradbench.bench.cell import Cell
from gradbench.bench.columns import IDENTITY
from gradbench.bench.plan import make_plan
from gradbench.bench.quantities import parse_seconds, parse_seeds
from gradbench.bench.suite import Block, load_suite, suite_files
from gradbench.cli import cli
from gradbench.command import command
from gradbench.estimators.catalogue import ESTIMATORS

BLOCK = Block(["gaussian"], ["ddim"], ["backprop", "adjoint-deis"], [10, 20])


def test_a_block_is_the_product_of_its_lists():
    assert len(make_plan([BLOCK], 3)) == 2 * 2 * 3


def test_a_cell_that_two_blocks_name_is_planned_once():
    assert len(make_plan([BLOCK, BLOCK], 1)) == 4


def test_cell_id_does_not_depend_on_the_order_of_keys():
    cell = make_plan([BLOCK], 1)[0].cell
    assert Cell.of(dict(reversed(list(cell.items())))).id == cell.id


def test_cell_id_is_the_same_in_every_process_and_for_ever():
    assert make_plan([BLOCK], 1)[0].cell["cell_id"] == KNOWN


def test_a_whole_number_for_a_real_parameter_is_the_same_cell():
    ids = {
        make_plan([Block([c], ["ddim"], ["backprop"])], 1)[0].cell["cell_id"] for c in ("gaussian[t_max=1]", "gaussian")
    }
    assert len(ids) == 1


def test_the_command_of_every_cell_plans_that_cell():
    cells = [item.cell for item in make_plan(load_suite("smoke").blocks, 1)]
    assert [plan_of(command(cell)) for cell in cells] == [[cell["cell_id"]] for cell in cells]


def plan_of(line):
    """The cells that a command line would run."""
    done = CliRunner().invoke(cli, [*shlex.split(line)[1:], "--dry-run", "--json"], standalone_mode=False)
    return [cell["cell_id"] for cell in json.loads(done.stdout)]


@pytest.mark.parametrize("name", sorted(suite_files()))
def test_every_suite_plans(name):
    suite = load_suite(name)
    planned = make_plan(suite.blocks, suite.replicates)
    assert planned and all(set(IDENTITY) <= set(item.cell) for item in planned)


def test_what_a_method_cannot_serve_is_skipped_with_the_reason():
    planned = make_plan([Block(["gaussian"], ["ab2"], ["torchdiffeq-adjoint", "adjoint-deis[steps=30]"], [20])], 1)
    reasons = [item.skip for item in planned]
    assert (
        "no method of this sampler's kind" in reasons[0]
        and "backward steps must be <= the sampler's 20 steps, got 30" in reasons[1]
    )


@pytest.mark.parametrize("case", ["gaussian[schedule=rectified]", "gaussian[schedule=cosine]"])
def test_a_chart_that_cannot_serve_is_skipped_and_names_the_one_that_can(case):
    planned = make_plan([Block([case], ["heun", "rk4[chart=angle]"], ["checkpoint", "adjoint-deis"], [20])], 1)
    reasons = [item.skip for item in planned]
    assert reasons[2] is None and all("the angle chart has" in reasons[i] for i in (0, 1, 3))


def test_a_missing_library_is_a_skip_with_the_command_that_installs_it(monkeypatch):
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "torchdiffeq" else find(name))
    planned = make_plan([Block(["gaussian"], ["ddim"], ["torchdiffeq-adjoint"])], 1)
    assert planned[0].skip == "not installed: pip install torchdiffeq"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"cases": ["gausian"]}, "did you mean 'gaussian'"),
        ({"estimators": ["adjoint-dps"]}, "did you mean 'adjoint-dpm'"),
        ({"estimators": ["adjoint-dpm[rule=rk5]"]}, "unknown rule 'rk5'"),
        ({"estimators": ["adjoint-dpm[chart=time]"]}, "unknown chart 'time'"),
        ({"estimators": ["backprop[order=1]"]}, "unknown option of backprop 'order'"),
        ({"samplers": ["dim"]}, "did you mean 'ddim'"),
        ({"samplers": ["ddim[chart=time]"]}, "unknown option of ddim 'chart'"),
        ({"steps": [0]}, "steps must be an integer >= 1, got 0"),
        ({"cases": ["gaussian[dim=0]"]}, "dim must be an integer >= 1, got 0"),
        ({"cases": ["digits[label=11]"]}, "unknown label 11"),
        ({"targets": ["x_t"]}, "did you mean 'x_T'"),
        ({"dtype": "double"}, "unknown dtype 'double'"),
    ],
)
def test_a_wrong_name_or_value_is_refused_when_planning(block, message):
    given = {"cases": ["gaussian"], "samplers": ["ddim"], "estimators": ["backprop"], **block}
    with pytest.raises(ValueError, match=message):
        make_plan([Block(**given)], 1)


def test_seeds_are_read_as_ranges():
    assert parse_seeds("0-2,5") == [0, 1, 2, 5]


def test_times_are_read_with_their_units():
    assert [parse_seconds(text) for text in ("90", "90s", "10m", "1h")] == [90, 90, 600, 3600]


def test_every_estimator_names_its_source():
    assert all(entry.citation and entry.summary for entry in ESTIMATORS.values())


KNOWN = "032d69c6e00f7a34"


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_a_cell_leaves_out_is_what_its_worker_fills_in(name):
    entry = ESTIMATORS[name]
    for option, value in entry.later.items():
        assert entry.options(entry.stored({option: value}))[option] == value
