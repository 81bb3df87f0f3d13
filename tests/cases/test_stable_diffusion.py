"""The cases of Stable Diffusion: what their rows say, and how precision is told from method."""

import pytest
import torch

import gradbench
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block
from gradbench.bench.worker import run_cell
from gradbench.problems.gradients import Gradients
from gradbench.references.kept import kept, problem_key


def cell(estimator, dtype="bfloat16", case="sd-tiny"):
    return make_plan([Block([case], ["ddim"], [estimator], steps=[3], dtype=dtype)], 1)[0].cell


@pytest.fixture(scope="module")
def rows():
    found = {name: run_cell(cell(name)) for name in ("checkpoint", "adjoint-deis")}
    assert {row["status"] for row in found.values()} == {"ok"}
    return found


@pytest.mark.parametrize("target", ["x_T", "condition", "parameters"])
def test_the_whole_error_lies_between_method_and_rounding(rows, target):
    row = rows["adjoint-deis"]
    method, rounding = row[f"method_error_{target}"], row[f"rounding_error_{target}"]
    assert abs(method - rounding) <= row[f"sampler_error_{target}"] * (1 + 1e-12)
    assert row[f"sampler_error_{target}"] <= (method + rounding) * (1 + 1e-12)


def test_the_error_of_an_exact_estimator_is_rounding(rows):
    row = rows["checkpoint"]
    assert row["method_error_parameters"] == 0 < row["sampler_error_parameters"] == row["rounding_error_parameters"]


def test_the_methods_own_error_is_that_of_a_float64_run(rows):
    problem = gradbench.case("sd-tiny").problem(steps=3, dtype="bfloat16").to(torch.float64)
    got, exact = gradbench.estimator("adjoint-deis")(problem).grads["x_T"], problem.sampler_gradient()["x_T"]
    assert rows["adjoint-deis"]["method_error_x_T"] == pytest.approx(((got - exact).norm() / exact.norm()).item())


def test_a_row_in_the_references_precision_has_no_rounding_to_tell_apart():
    row = run_cell(cell("adjoint-deis", "float64"))
    assert row["status"] == "ok" and "method_error_x_T" not in row


def test_networks_that_are_not_told_apart_differ_by_guidance_and_prompt():
    first, *others = (
        gradbench.estimator("checkpoint")(gradbench.case("sd-tiny", **changes).problem(steps=2)).x_0
        for changes in ({}, {"guidance": 1.0}, {"prompt": 1})
    )
    assert all(not torch.equal(first, other) for other in others)


@pytest.mark.parametrize("objective", ["jpeg-size", "style", "colourfulness-0.5*scorer", "target-image+target-latent"])
def test_gradients_pass_through_the_decoder(objective):
    """A step along the gradient moves the objective by what the gradient says."""
    case = gradbench.case("sd-tiny", objective=objective)
    problem = case.problem(steps=2, dtype="float64", targets=("x_T",))
    estimate = gradbench.estimator("checkpoint")(problem)
    direction = estimate.grads["x_T"] / estimate.grads["x_T"].norm()
    moved = []
    for sign in (1, -1):
        x_T = problem.x_T + sign * 1e-5 * direction
        moved.append(problem.objective(problem.rollout.sample(x_T)).sum().item())
    assert (moved[0] - moved[1]) / 2e-5 == pytest.approx(estimate.grads["x_T"].norm().item(), rel=1e-5)


def test_an_objective_that_there_is_not_is_one_line():
    with pytest.raises(ValueError, match="allowed names: jpeg-size"):
        gradbench.case("sd-tiny", objective="beauty")


@pytest.mark.parametrize(("name", "value"), [("latent", 7), ("prompt", 9), ("rank", 0), ("compile", "yes")])
def test_a_parameter_out_of_range_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        gradbench.case("sd-tiny", **{name: value})


def test_a_kept_reference_is_read_and_not_made_again(tmp_path):
    grads = Gradients({"x_T": torch.ones(2, 3), "parameters": (torch.zeros(2), torch.arange(3.0))})
    made = kept(tmp_path / "r.safetensors", lambda: grads)
    read = kept(tmp_path / "r.safetensors", lambda: pytest.fail("made again"))
    assert made is grads and torch.equal(read["x_T"], grads["x_T"])
    assert all(torch.equal(a, b) for a, b in zip(read["parameters"], grads["parameters"], strict=True))


def test_a_kept_reference_belongs_to_its_problem_and_code():
    first, second = cell("checkpoint"), cell("adjoint-deis")
    assert problem_key(first, "a") == problem_key(second, "a") != problem_key(first, "b")
    assert problem_key(first, "a") != problem_key(cell("checkpoint", "float32"), "a")
