"""The whole test file: every conformance check, and a property over random laws, schedules, grids and samplers."""

from hypothesis import given

import gradbench
from gradbench.testing import assert_close, conformance
from gradbench.testing.strategies import examples, problems

test_conformance = conformance("gradbench_template:TorchCheckpoint")


@examples(20)
@given(problems())
def test_it_is_backprop(problem):
    mine, exact = (gradbench.estimator(name)(problem) for name in ("torch-checkpoint", "backprop"))
    assert_close(mine.grads, exact.grads, 1e-10)
