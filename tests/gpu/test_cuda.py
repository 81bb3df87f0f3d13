"""What needs a CUDA device: counted as skipped where there is none."""

import pytest
import torch

import gradbench
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block
from gradbench.bench.worker import run_cell
from gradbench.measure.cost import held_tensors, peak_memory, time_calls

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
CUDA = torch.device("cuda")


def cell(case="sd-tiny", estimator="checkpoint", steps=3):
    block = Block([case], ["ddim"], [estimator], steps=[steps], device="cuda")
    return make_plan([block], 1)[0].cell


@pytest.fixture(scope="module")
def row():
    found = run_cell(cell())
    assert found["status"] == "ok", found
    return found


def test_a_row_tells_allocator_and_device_apart(row):
    assert 0 < row["peak_bytes"] <= row["reserved_bytes"] <= row["device_bytes"]


def test_a_row_tells_tf32_attention_and_the_gpu(row):
    assert row["tf32"] in (True, False) and "sdpa" in row["attention"]
    assert row["gpu"] == torch.cuda.get_device_name(0)


def test_a_second_peak_is_the_same_after_warm_up():
    problem = gradbench.case("sd-tiny").problem(steps=3, device="cuda")
    method = gradbench.estimator("checkpoint")
    method(problem)
    first, second = (peak_memory(lambda: method(problem), held_tensors(problem), CUDA).peak for _ in range(2))
    assert first == second


def test_backprop_grows_with_steps_and_checkpoint_does_not():
    def peak(estimator, steps):
        problem, method = gradbench.case("sd-tiny").problem(steps=steps, device="cuda"), gradbench.estimator(estimator)
        method(problem)
        return peak_memory(lambda: method(problem), held_tensors(problem), CUDA).peak

    assert peak("backprop", 12) > 2 * peak("backprop", 4)
    assert peak("checkpoint", 12) < 1.2 * peak("checkpoint", 4)


def test_events_time_what_the_device_does():
    a = torch.randn(2048, 2048, device=CUDA)
    one = min(time_calls(lambda: a @ a, CUDA, repeats=10).samples)
    ten = min(time_calls(lambda: [a @ a for _ in range(10)], CUDA, repeats=10).samples)
    assert ten > 3 * one


@pytest.mark.parametrize("estimator", ["backprop", "checkpoint", "adjoint-deis", "reversible"])
def test_gradients_are_those_of_a_cpu(estimator):
    sampler = "belm" if estimator == "reversible" else "ddim"
    found = []
    for device in ("cpu", "cuda"):
        problem = gradbench.case("sd-tiny").problem(sampler=sampler, steps=4, dtype="float64", device=device)
        found.append(gradbench.estimator(estimator)(problem).grads["x_T"].cpu())
    assert ((found[0] - found[1]).norm() / found[0].norm()).item() < 1e-9


def test_compiled_networks_have_the_same_gradient():
    grads = []
    for compile in (False, True):
        problem = gradbench.case("sd-tiny", compile=compile).problem(steps=2, device="cuda")
        grads.append(gradbench.estimator("checkpoint")(problem).grads["x_T"])
    assert ((grads[0] - grads[1]).norm() / grads[0].norm()).item() < 1e-3


def test_too_little_memory_is_a_row_with_a_prediction(tmp_path):
    from gradbench.bench.isolate import Limits, run_isolated

    total = torch.cuda.mem_get_info()[1]
    huge = cell("sd15[batch=64]", "backprop", steps=50)
    found = run_isolated(huge, Limits(timeout=900), tmp_path)
    assert found["status"] == "oom" and found["predicted_peak_bytes"] > total
