"""Advice: the least work among what fits and is accurate enough, and no advice without evidence."""

import pytest

from gradbench.analysis.advise import (
    ELSEWHERE,
    EXACT,
    EXTRAPOLATED,
    HERE,
    PREDICTED,
    Evidence,
    Option,
    Task,
    advise,
    error_of,
    seconds_of,
)
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.samplers.spec import sampler_spec

DDIM = dict(sampler_spec("ddim", "leading").params)
DEIS = ("adjoint-deis", dict(ESTIMATORS["adjoint-deis"].defaults))


def task(**changes):
    given = {
        "case": "sd15",
        "case_params": {"latent": 64},
        "sampler": "ddim",
        "sampler_params": DDIM,
        "steps": 50,
        "target": "parameters",
        "dtype": "float16",
        "memory": 100.0,
        "machine": "here",
    }
    return Task(**{**given, **changes})


def option(name, peak, error, evaluations):
    known = None if error is None else Evidence(error, HERE)
    return Option(name, Evidence(peak, PREDICTED), known, evaluations)


def row(**changes):
    given = {
        "case": "sd15",
        "case_params": {"latent": 64},
        "sampler": "ddim",
        "sampler_params": DDIM,
        "estimator": "adjoint-deis",
        "estimator_params": DEIS[1],
        "steps": 50,
        "status": "ok",
        "dtype": "float16",
        "machine_id": "here",
        "sampler_error_parameters": 0.3,
        "time_s": 2.0,
    }
    return {**given, **changes}


TAPE = option("backprop", 90.0, 0.0, (50, 0, 50))
STATES = option("checkpoint", 10.0, 0.0, (50, 50, 50))
ROUGH = option("adjoint-deis", 10.0, 0.3, (50, 50, 50))


def test_the_least_work_comes_first_where_everything_fits():
    assert [o.estimator for o in advise(task(), [STATES, TAPE]).chosen] == ["backprop", "checkpoint"]


def test_what_does_not_fit_is_refused_with_both_sizes():
    found = advise(task(memory=50.0), [STATES, TAPE])
    assert [o.estimator for o in found.chosen] == ["checkpoint"]
    assert found.refused["backprop"].startswith("needs")


def test_a_vjp_counts_as_two_evaluations():
    assert (TAPE.work, STATES.work) == (150.0, 200.0)


def test_the_least_error_comes_first_where_no_bound_is_given():
    cheap = option("draft", 10.0, 0.9, (50, 1, 1))
    assert [o.estimator for o in advise(task(), [cheap, ROUGH, STATES]).chosen] == [
        "checkpoint",
        "adjoint-deis",
        "draft",
    ]


def test_below_the_bound_the_least_work_comes_first():
    cheap = option("draft", 10.0, 0.9, (50, 1, 1))
    assert advise(task(max_error=1.0), [ROUGH, STATES, cheap]).chosen[0].estimator == "draft"


def test_an_error_above_the_bound_is_refused():
    found = advise(task(max_error=0.01), [ROUGH])
    assert not found.chosen and "0.3 is above 0.01" in found.refused["adjoint-deis"]


def test_no_evidence_is_no_advice():
    found = advise(task(), [option("mine", 10.0, None, (1, 1, 1))])
    assert not found.chosen and "no evidence" in found.refused["mine"]


def test_an_exact_estimator_needs_no_rows_against_the_sampler():
    assert error_of(task(), ("checkpoint", {"offload": None}), [], exact=True) == Evidence(
        0.0, EXACT, "rounding left out"
    )


def test_an_exact_estimator_needs_rows_against_the_flow():
    assert error_of(task(reference="flow"), ("checkpoint", {"offload": None}), [], exact=True) is None


@pytest.mark.parametrize(("machine", "how"), [("here", HERE), ("there", ELSEWHERE)])
def test_rows_at_these_steps_are_measurements(machine, how):
    assert error_of(task(), DEIS, [row(machine_id=machine)], exact=False) == Evidence(0.3, how, "1 row")


def test_rows_of_this_machine_come_before_others():
    rows = [row(sampler_error_parameters=0.5, machine_id="there"), row()]
    assert error_of(task(), DEIS, rows, exact=False).value == 0.3


def test_the_methods_own_error_is_taken_where_precision_is_told_apart():
    assert error_of(task(), DEIS, [row(method_error_parameters=0.2)], exact=False).value == 0.2


def test_other_steps_are_extrapolated_by_their_largest_error():
    rows = [row(steps=10, sampler_error_parameters=0.9), row(steps=20, sampler_error_parameters=0.6)]
    found = error_of(task(), DEIS, rows, exact=False)
    assert (found.value, found.how) == (0.9, EXTRAPOLATED) and "at 10, 20 steps" in found.source


def test_another_network_stands_in_where_the_case_has_no_rows():
    rows = [row(case="digits", sampler_error_parameters=0.4), row(case="gaussian", sampler_error_parameters=0.1)]
    found = error_of(task(), DEIS, rows, exact=False)
    assert (found.value, found.how) == (0.4, EXTRAPOLATED) and "digits" in found.source


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "oom"},
        {"estimator_params": {**DEIS[1], "order": 2}},
        {"sampler_params": {**DDIM, "eta": 1.0}},
        {"sampler_error_parameters": None},
    ],
)
def test_rows_of_something_else_are_no_evidence(changes):
    assert error_of(task(), DEIS, [row(**changes)], exact=False) is None


def test_an_option_that_an_old_row_lacks_is_the_default():
    assert error_of(task(), DEIS, [row(estimator_params={"order": 1})], exact=False).value == 0.3


def test_seconds_are_in_proportion_to_steps():
    found = seconds_of(task(), DEIS, [row(steps=25)])
    assert (found.value, found.how) == (4.0, EXTRAPOLATED)


def test_seconds_of_another_precision_are_none():
    assert seconds_of(task(), DEIS, [row(dtype="float32")]) is None
