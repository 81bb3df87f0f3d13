"""An objective without a gradient: the remedy in one line where a gradient is needed, a number where none is."""

import pytest
import torch

import gradbench
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block
from gradbench.bench.worker import run_cell


def constant(x):
    return torch.zeros(len(x), dtype=x.dtype)


def detached(x):
    return x.detach().flatten(1).mean(1)


def integer(x):
    return (x.flatten(1).mean(1) > 0).long()


WHY = r"has no gradient at x_0 \(it is constant, detached, or of integers\): use an estimator that needs none"
FLAT = [constant, detached, integer]


@pytest.mark.parametrize("estimator", ["backprop", "checkpoint", "draft-lv", "adjoint-matching", "alignprop"])
@pytest.mark.parametrize("objective", FLAT)
def test_an_objective_of_ones_own_without_a_gradient_is_refused(objective, estimator):
    sampler = {"adjoint-matching": "euler-maruyama"}.get(estimator, "ddim")
    problem = gradbench.case("gaussian", objective=f"{__name__}:{objective.__name__}").problem(
        sampler=sampler, steps=3, targets=["parameters"]
    )
    with pytest.raises(ValueError, match=rf"^objective '{__name__}:{objective.__name__}' {WHY}[^\n]*$"):
        gradbench.estimator(estimator)(problem)


@pytest.mark.parametrize("objective", FLAT)
def test_a_function_in_its_place_is_refused_too(objective):
    problem = gradbench.case("gaussian").problem(steps=3)
    problem.objective = objective
    with pytest.raises(ValueError, match=rf"^the objective {WHY}"):
        gradbench.estimator("checkpoint")(problem)


def test_an_estimator_that_needs_no_gradient_takes_it():
    problem = gradbench.case("gaussian", objective=f"{__name__}:integer").problem(sampler="ddpm", steps=3)
    found = gradbench.estimator("reinforce", draws=4)(problem)
    assert found.objective in [k / 4 for k in range(17)] and found.grads["x_T"].isfinite().all()


def test_the_reason_of_a_row_is_that_line():
    case = f"gaussian[objective={__name__}:constant]"
    row = run_cell(make_plan([Block([case], ["ddim"], ["checkpoint"], steps=[3])], 1)[0].cell)
    assert row["status"] == "error" and "constant' has no gradient at x_0" in row["reason"]
