"""The abstraction costs no operations: backprop dispatches what a hand-written DDIM loop does."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import gradbench
from tests.benchmarks.test_speed import hand_written


class Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += 1
        return func(*args, **(kwargs or {}))


def test_backprop_dispatches_at_most_one_percent_more_than_a_hand_written_loop(digits):
    problem, counts = digits.problem(steps=10), []
    for call in (lambda: gradbench.estimator("backprop")(problem), lambda: hand_written(problem)):
        with Count() as counted:
            call()
        counts.append(counted.operations)
    assert counts[0] <= 1.01 * counts[1], counts


def test_the_hand_written_loop_has_the_same_gradient(digits):
    problem = digits.problem(steps=5, dtype="float64")
    grads = gradbench.estimator("backprop")(problem).grads
    by_hand = hand_written(problem)
    for got, expected in zip((grads["x_T"], grads["condition"], *grads["parameters"]), by_hand, strict=True):
        assert torch.allclose(got, expected, rtol=1e-10, atol=1e-14)
