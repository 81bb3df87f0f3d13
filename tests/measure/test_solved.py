"""The flow of a network: two solves, whose distance bounds the error where the flow is known in closed form."""

import pytest
import torch

import gradbench
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block
from gradbench.bench.worker import How, run_cell
from gradbench.measure.error import sample_error
from gradbench.problems.gradients import relative_error
from gradbench.references.kept import flow_key
from gradbench.references.solved import Solve, _weights, solved_flow

FEW = (Solve(4, 160, "angle", 0.7), Solve(3, 120, "log-snr", 0.5))


@pytest.mark.parametrize("name", ["gaussian", "product-mixture", "mixture"])
def test_the_tolerance_bounds_the_distance_to_a_flow_that_is_known(name):
    problem = gradbench.case(name).problem(steps=5)
    solved, exact = solved_flow(problem, *FEW), problem.flow_gradient()
    assert exact is not None
    worst = max(relative_error(solved.grads[target], exact[target]) for target in exact)
    assert worst <= solved.tol < 0.02


def test_twice_the_steps_are_six_times_as_near_or_nearer():
    problem, errors = gradbench.case("gaussian").problem(steps=5), []
    exact = problem.flow_gradient()
    assert exact is not None
    for steps in (160, 320):
        found = solved_flow(problem, Solve(4, steps, "angle", 0.7), Solve(1, 2, "angle", 0.7)).grads
        errors.append(relative_error(found["x_T"], exact["x_T"]))
    assert errors[0] / errors[1] > 6 and errors[1] < 2e-7


def test_weights_integrate_polynomials_below_their_order():
    clock = [0.0, 0.3, 0.5, 1.1, 1.2]
    for power in range(4):
        found = sum(c * clock[j] ** power for j, c in _weights(clock, 3, 4).items())
        assert found == pytest.approx((clock[4] ** (power + 1) - clock[3] ** (power + 1)) / (power + 1))


def cell(steps=3, sampler="ddim", estimator="adjoint-deis", case="digits[batch=1]"):
    return make_plan([Block([case], [sampler], [estimator], [steps])], 1)[0].cell


def test_a_flow_has_one_key_for_all_estimators_and_steps_between_the_same_ends():
    ends = (0.9, 0.5, 0.001)
    assert flow_key(cell(), ends, "f") == flow_key(cell(4, "euler", "backprop"), (0.9, 0.001), "f")
    assert flow_key(cell(), ends, "f") != flow_key(cell(), (0.8, 0.001), "f")
    assert flow_key(cell(), ends, "f") != flow_key(cell(case="digits[batch=1,guidance=2.0]"), ends, "f")


def test_the_flow_of_a_network_is_kept_with_its_tolerance(tmp_path, monkeypatch):
    how = How(("error", "flow"), keep=tmp_path)
    monkeypatch.setattr("gradbench.references.flow.solved_flow", lambda problem: solved_flow(problem, *SHORT))
    first = run_cell(cell(), how=how)
    monkeypatch.setattr("gradbench.references.flow.solved_flow", None)  # the second is read, not made
    second = run_cell(cell(estimator="checkpoint"), how=how)
    assert first["flow_tol"] == second["flow_tol"] > 0
    assert second["flow_error_parameters"] > 0 and "time_s" not in second and "peak_bytes" not in second


SHORT = (Solve(2, 8, "angle", 0.7), Solve(1, 8, "angle", 0.7))


def test_a_sample_counts_alike_whatever_its_norm():
    expected = torch.tensor([[1000.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    got = torch.tensor([[1000.0, 0.0], [1.5, 0.0], [1.25, 0.0]])
    assert sample_error(got, expected) == 0.25 and relative_error(got, expected) < 1e-3


def test_a_pass_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="pass"):
        make_plan([Block(["gaussian"], ["ddim"], ["backprop"], passes=["speed"])], 1)


def test_a_cell_of_two_blocks_has_the_passes_of_both():
    blocks = [Block(["gaussian"], ["ddim"], ["backprop"], passes=passes) for passes in (["error", "flow"], ["memory"])]
    (item,) = make_plan(blocks, 1)
    assert item.passes == ("error", "flow", "memory")
