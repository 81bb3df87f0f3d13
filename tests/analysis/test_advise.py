"""Advice: the least work among what fits and is accurate enough, and no advice without evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradbench.analysis.advise import Option, advise
from gradbench.analysis.evidence import HERE, PREDICTED, Evidence, Task


def task(**changes):
    made = {"case": "sd15", "case_params": {}, "sampler": "ddim", "sampler_params": {}, "steps": 50}
    made |= {"targets": ("parameters",), "dtype": "float16", "memory": 100.0}
    return Task(**{**made, **changes})


def option(name, peak, error, evaluations):
    known = None if error is None else Evidence(error, HERE)
    return Option(name, Evidence(peak, PREDICTED), known, evaluations, lacking="no rows of it")


TAPE = option("backprop", 90.0, 0.0, (50, 0, 50))
STATES = option("checkpoint", 10.0, 0.0, (50, 50, 50))
ROUGH = option("adjoint-deis", 10.0, 0.3, (50, 50, 50))
CHEAP = option("draft", 10.0, 0.9, (50, 1, 1))


def names(found):
    return [option.estimator for option in found.chosen]


def test_the_least_work_comes_first_where_everything_fits():
    assert names(advise(task(), [STATES, TAPE])) == ["backprop", "checkpoint"]


def test_what_does_not_fit_is_refused_with_both_sizes():
    found = advise(task(memory=50.0), [STATES, TAPE])
    assert names(found) == ["checkpoint"]
    assert found.refused["backprop"].startswith("needs")


def test_a_vjp_counts_as_two_evaluations():
    assert (TAPE.work, STATES.work) == (150.0, 200.0)


def test_the_least_error_comes_first_where_no_bound_is_given():
    assert names(advise(task(), [CHEAP, ROUGH, STATES])) == ["checkpoint", "adjoint-deis", "draft"]


def test_below_the_bound_the_least_work_comes_first():
    assert names(advise(task(max_error=1.0), [ROUGH, STATES, CHEAP]))[0] == "draft"


@given(
    st.permutations(range(4)),
    st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4),
    st.lists(st.floats(1.0, 99.0), min_size=4, max_size=4),
    st.sampled_from([None, 1.0]),
)
def test_at_equal_work_the_smaller_error_is_first_whatever_the_peaks(order, errors, peaks, bound):
    options = [option(f"e{i}", peaks[i], errors[i], (50, 50, 50)) for i in order]
    found = [o.error.value for o in advise(task(max_error=bound), options).chosen]
    assert found == sorted(errors)


def test_an_error_above_the_bound_is_refused():
    found = advise(task(max_error=0.01), [ROUGH])
    assert not found.chosen and "0.3 is above 0.01" in found.refused["adjoint-deis"]


@pytest.mark.parametrize("others", [[], [ROUGH], [CHEAP, TAPE]])
def test_what_nothing_is_known_of_is_neither_ranked_nor_left_out(others):
    found = advise(task(), [option("mine", 10.0, None, (1, 1, 1)), *others])
    assert "mine" not in names(found) and found.unknown == {"mine": "no rows of it"}


def test_a_peak_that_was_not_predicted_fits():
    unsized = Option("backprop", None, Evidence(0.0, HERE), (50, 0, 50))
    assert names(advise(task(memory=float("inf")), [unsized])) == ["backprop"]
