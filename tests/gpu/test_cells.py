"""Cells on a card: what one costs besides its passes, and that its death leaves the card as it was."""

import time

import pytest
import torch

import gradbench
from gradbench.bench.isolate import Isolation, Limits
from gradbench.bench.plan import make_plan, preload
from gradbench.bench.suite import Block
from gradbench.measure import nvidia

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
PASSES = ["error", "time", "memory", "evaluation"]


def planned(case, estimator="checkpoint", steps=4, dtype=None):
    block = Block([case], ["ddim"], [estimator], [steps], ["parameters"], dtype=dtype, device="cuda", passes=PASSES)
    return make_plan([block], 1)


def run(case, limits=None, folder=None, **options):
    """The row of one cell in a process of its own, with its seconds."""
    items = planned(case, **options)
    isolation = Isolation([], preload(items), limits or Limits(), folder)
    try:
        isolation.warm()
        begun = time.monotonic()
        row = isolation.run_isolated(items[0].cell, 0, PASSES)
        return {**row, "wall_s": time.monotonic() - begun}
    finally:
        isolation.close()


def used():
    return nvidia.cards()[0].used


def test_a_cell_of_stable_diffusion_costs_less_than_five_seconds_besides_its_passes(tmp_path):
    row = run("sd15", folder=tmp_path, dtype="float16")
    assert row["status"] == "ok", row
    assert row["wall_s"] - row["passes_s"] < 5


def test_a_row_tells_driver_idle_clock_and_who_else_was_on_the_card(tmp_path):
    row = run("sd-tiny", folder=tmp_path)
    assert row["gpu_driver"] and row["gpu_total_bytes"] > 0 and row["gpu_used_bytes"] is not None


def test_a_cell_that_was_stopped_by_its_limit_frees_the_card(tmp_path):
    before = used()
    row = run("sd15", Limits(timeout=6), tmp_path, steps=500)
    assert row["status"] == "timeout", row
    time.sleep(3)
    assert used() < before + 2**28


def test_a_cell_after_one_that_ran_out_of_memory_is_as_any_other(tmp_path):
    items = planned("digits[batch=1000000]", "backprop", 50) + planned("sd-tiny")
    isolation = Isolation([], preload(items), Limits(), tmp_path)
    try:
        first, second = (isolation.run_isolated(item.cell, 0, PASSES) for item in items)
    finally:
        isolation.close()
    assert (first["status"], second["status"]) == ("oom", "ok"), (first, second)


def test_weights_are_made_on_the_card_by_the_seed_and_say_so():
    from gradbench.problems.folders import weights_of

    first, second = (gradbench.case("sd-tiny").problem(steps=2, device="cuda") for _ in range(2))
    pairs = zip(first.denoiser.parameters(), second.denoiser.parameters(), strict=True)
    assert all(a.is_cuda and torch.equal(a, b) for a, b in pairs)
    assert weights_of(planned("sd-tiny")[0].cell).endswith("of CUDA's generator (Philox)")


@pytest.mark.parametrize("estimator", ["backprop", "checkpoint", "adjoint-deis", "continuous-adjoint", "draft[k=2]"])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_no_step_waits_for_the_card(estimator, sampler, monkeypatch):
    from gradbench.samplers.rollout import Rollout

    problem = gradbench.case("sd-tiny").problem(sampler=sampler, steps=4, device="cuda")
    method = gradbench.estimator(estimator)
    if method.supports(problem.traits):
        pytest.skip(method.supports(problem.traits))
    method(problem)  # warm: libraries wait when they are first called
    step = Rollout.step

    def watched(self, k, state):
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(self, k, state)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Rollout, "step", watched)
    method(problem)


def test_tf32_is_coarser_than_float32():
    from gradbench.measure.arithmetic import tf32

    a, b = torch.randn(2, 512, 512, device="cuda").unbind()
    exact = a.double() @ b.double()
    errors = []
    for allowed in (False, True):
        with tf32(allowed):
            errors.append(((a @ b).double() - exact).norm().item())
    assert errors[1] > 10 * errors[0]
