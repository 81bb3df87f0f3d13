"""Memory of the estimators on the digits network: linear in steps for backprop, flat for checkpoint."""

from functools import partial

import pytest
import torch

import gradbench
from gradbench.measure.cost import held_tensors, parts, peak_memory
from tests.quick import quick

CPU = torch.device("cpu")


def peak(case, estimator, steps):
    problem, method = case.problem(steps=steps), gradbench.estimator(estimator)
    return peak_memory(lambda: method(problem), held_tensors(problem), CPU).peak


def test_backprop_is_linear_in_steps(digits):
    first, second, third = (peak(digits, "backprop", n) for n in (2, 4, 8))
    assert third - second == pytest.approx(2 * (second - first), rel=0.01)
    assert third > 1.8 * second


@pytest.mark.parametrize("estimator", quick(["checkpoint", "adjoint-deis", "adjoint-dpm"], 0))
def test_one_tape_at_a_time_is_flat_in_steps(digits, estimator):
    few, many = peak(digits, estimator, 2), peak(digits, estimator, 12)
    state, _ = parts(digits.problem(steps=2))
    assert 0 <= many - few <= 10 * state + 4096


KEPT = {"checkpoint": lambda n: n + 1, "revolve[snapshots=3]": lambda n: 3 + 2, "reversible": lambda n: 2}
PAIRS = [
    *[("checkpoint", s) for s in ("ddim", "rk4", "dpm++2m", "belm", "edict", "rex", "reversible-heun", "ddpm")],
    *[("revolve[snapshots=3]", s) for s in ("ddim", "rk4", "belm", "sde-dpm++2m")],
    *[("reversible", s) for s in ("belm", "edict", "rex", "reversible-heun", "bdia")],
]


@pytest.mark.parametrize(("estimator", "sampler"), quick(PAIRS, 0, 5, 12))
def test_the_peak_is_one_steps_tape_and_the_kept_states_to_one_percent(digits, estimator, sampler):
    """The gradients of the shared leaves live beside them: their totals, and those of this step."""
    problem = digits.problem(sampler=sampler, steps=12)
    state, tape = parts(problem)
    gradients = 2 * sum(leaf.numel() * leaf.element_size() for leaf in problem.wrt)
    found = peak_memory(lambda: gradbench.estimator(estimator)(problem), held_tensors(problem), CPU).peak
    assert found == pytest.approx(tape + KEPT[estimator](12) * state + gradients, rel=0.01)


@pytest.mark.parametrize(("estimator", "sampler"), quick([("revolve[snapshots=3]", "ddim"), ("reversible", "belm")], 1))
def test_memory_does_not_grow_with_steps(digits, estimator, sampler):
    method, found = gradbench.estimator(estimator), []
    for steps in (8, 30):
        problem = digits.problem(sampler=sampler, steps=steps)
        found.append(peak_memory(partial(method, problem), held_tensors(problem), CPU).peak)
    state, _ = parts(digits.problem(sampler=sampler, steps=2))
    assert abs(found[1] - found[0]) <= 2 * state


def test_no_tape_lives_while_the_objective_runs_under_checkpoint(digits):
    live = {}

    def objective_under(name):
        problem = digits.problem(steps=5)
        inner = problem.objective

        def watched(x):
            live[name] = counted.live - counted.baseline
            return inner(x)

        problem.objective = watched
        from gradbench.measure.live_bytes import LiveBytes

        with LiveBytes(held_tensors(digits.problem(steps=5)) + held_tensors(problem)) as counted:
            gradbench.estimator(name)(problem)
        return parts(digits.problem(steps=5))

    state, tape = objective_under("checkpoint")
    objective_under("backprop")
    assert live["checkpoint"] < 12 * state + 4096 < tape < live["backprop"]
