"""Whole problems as a third party draws them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaves import examples

import gradbench
from gradbench.testing import assert_close
from gradbench.testing.strategies import problems, samplers


@pytest.mark.parametrize("kind", [{}, {"stochastic": True}, {"reversible": True}], ids=str)
@examples(15)
@given(st.data())
def test_checkpoint_is_backprop_under_every_sampler(kind, data):
    problem = data.draw(problems(sampler=samplers(**kind)))
    kept, plain = (gradbench.estimator(name)(problem).grads for name in ("checkpoint", "backprop"))
    assert_close(kept, plain, 1e-10)


@examples(15)
@given(problems(sampler=samplers(reversible=True), targets=("parameters",), names=("mixture",)))
def test_problems_are_of_the_kind_that_was_asked_for(problem):
    assert problem.traits["reversible"] and not problem.traits["stochastic"]
    assert problem.targets == ("parameters",) and 1 <= problem.steps <= 8 and len(problem.parameters) == 3


def test_gradients_that_are_apart_or_missing_are_told():
    grads = gradbench.estimator("backprop")(gradbench.case("gaussian", dim=2).problem(steps=2)).grads
    with pytest.raises(AssertionError, match=r"the gradient of x_T is 1.0e-03 off, allowed 0.0001"):
        assert_close({**grads, "x_T": 1.001 * grads["x_T"]}, grads, 1e-4)
    with pytest.raises(AssertionError, match="gradients of condition, parameters, expected those of x_T"):
        assert_close({t: g for t, g in grads.items() if t != "x_T"}, grads, 1e-4)
