"""What a row is evidence of: the whole problem, or one that is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradbench.analysis.evidence import (
    ELSEWHERE,
    EXACT,
    EXTRAPOLATED,
    HERE,
    Evidence,
    Task,
    differences,
    error_of,
    rounding_of,
    seconds_of,
    unreached,
    why_none,
)
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.problems.folders import case_specs
from gradbench.samplers.spec import sampler_spec
from tests.rows import row

DDIM = dict(sampler_spec("ddim", "leading").params)
DEIS = ("adjoint-deis", dict(ESTIMATORS["adjoint-deis"].defaults))
CHECKPOINT = ("checkpoint", dict(ESTIMATORS["checkpoint"].defaults))
EXACT_ONES = ["backprop", "checkpoint", "revolve", "reversible"]
CASES = ["digits", "gaussian", "mixture", "product-mixture", "sd15", "sd-tiny"]


def params(case, **changes):
    return {**case_specs()[case].params, **changes}


def task(case="digits", given=None, **changes):
    made = {
        "case": case,
        "case_params": params(case, **(given or {})),
        "sampler": "ddim",
        "sampler_params": DDIM,
        "steps": 50,
        "targets": ("parameters",),
        "dtype": "float32",
        "memory": 100.0,
        "machine": "here",
    }
    return Task(**{**made, **changes})


def seen(case="digits", given=None, estimator="adjoint-deis", **changes):
    """A row of the adjoint on a case with its own parameters, but for those given."""
    made = {"case": case, "case_params": params(case, **(given or {})), "sampler_params": DDIM, "options": DEIS[1]}
    made |= {"targets": ["parameters"], "dtype": "float32", "machine_id": "here", "time_s": 2.0}
    made |= {"sampler_error_parameters": 0.3, "flow_error_parameters": 0.4}
    return row(estimator, **{"steps": 50, **made, **changes})


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return "something else"


@st.composite
def changed(draw):
    """A case, a row of its default problem, and the name of the one parameter in which it was changed."""
    case = draw(st.sampled_from(CASES))
    problem = seen(case, weights="random weights, seed 0")
    whole = {"steps": 49, "dtype": "float16", "targets": ["x_T", "parameters"], "device": "cuda", "sampler": "rk4"}
    name = draw(st.sampled_from([*case_specs()[case].params, *whole, "case", "sampler_params", "estimator_params"]))
    if name == "case":
        problem[name] = draw(st.sampled_from([c for c in CASES if c != case]))
    elif name.endswith("_params"):
        option = draw(st.sampled_from(sorted(problem[name])))
        problem[name] = {**problem[name], option: other(problem[name][option])}
    elif name in whole:
        problem[name] = whole[name]
    else:
        problem["case_params"] = {**problem["case_params"], name: other(problem["case_params"][name])}
    return case, problem, name


@settings(deadline=None)
@given(changed())
def test_a_row_that_differs_in_any_one_parameter_is_no_measurement(made):
    case, problem, _ = made
    found = error_of(task(case), DEIS, [problem], exact=False)
    assert found is None or found.how == EXTRAPOLATED


@settings(deadline=None)
@given(changed())
def test_what_is_extrapolated_names_the_parameter(made):
    case, problem, name = made
    found = error_of(task(case), DEIS, [problem], exact=False)
    if found is not None:
        named = problem["case"] if name == "case" else f"{name} "
        assert f"extrapolated from {named}" in str(found) and ("(asked " in str(found) or name == "case")


@settings(deadline=None)
@given(changed())
def test_seconds_of_a_row_that_differs_in_any_one_parameter_are_no_measurement(made):
    case, problem, name = made
    found = seconds_of(task(case), DEIS, [problem])
    assert found is None or (found.how == EXTRAPOLATED and name in ("steps", "targets"))


@settings(deadline=None)
@given(changed(), st.sampled_from(EXACT_ONES))
def test_an_exact_estimators_row_of_another_problem_is_no_measurement_against_the_flow(made, name):
    case, problem, parameter = made
    if parameter != "estimator_params":
        exact = {**problem, "estimator": name, "estimator_params": dict(ESTIMATORS[name].defaults)}
        found = error_of(task(case, reference="flow"), CHECKPOINT, [exact], exact=True)
        assert found is None or found.how == EXTRAPOLATED


@pytest.mark.parametrize("case", CASES)
def test_a_row_of_the_very_problem_is_a_measurement(case):
    assert not differences(task(case), seen(case))
    assert error_of(task(case), DEIS, [seen(case)], exact=False) == Evidence(0.3, HERE, amount="one seed")


def test_a_row_of_another_machine_is_measured_elsewhere():
    found = error_of(task(), DEIS, [seen(machine_id="there")], exact=False)
    assert (found.value, found.how) == (0.3, ELSEWHERE)


def test_a_clone_of_this_machine_on_another_processor_is_elsewhere():
    rows = [seen(cpu="another")]
    assert error_of(task(machine="here, this"), DEIS, rows, exact=False).how == ELSEWHERE
    assert error_of(task(machine="here, another"), DEIS, rows, exact=False).how == HERE


def test_every_parameter_that_differs_is_named_with_both_values():
    rows = [seen(given={"guidance": 1.0, "batch": 4}, weights=None)]
    found = error_of(task("sd15", {"guidance": 7.5, "batch": 1}, targets=("parameters",)), DEIS, rows, exact=False)
    assert str(found).startswith(
        "extrapolated from digits, guidance 1 (asked 7.5), batch 4 (asked 1), objective class (asked target-latent)"
    )


def test_rows_of_fewer_differences_come_before_others():
    rows = [seen(given={"guidance": 2.0}, sampler_error_parameters=0.9, steps=20), seen(steps=20)]
    assert error_of(task(), DEIS, rows, exact=False).value == 0.3


def test_rows_of_the_case_come_before_another_network_however_much_they_differ():
    rows = [seen(), seen("sd15", {"batch": 2, "guidance": 1.0}, steps=10, sampler_error_parameters=0.7)]
    rows[0]["case_params"] = {}
    assert error_of(task("sd15", steps=20), DEIS, rows, exact=False).value == 0.7


def test_a_trained_network_comes_before_a_random_one():
    rows = [seen("sd-tiny", weights="random weights, seed 0", sampler_error_parameters=0.9), seen()]
    assert error_of(task("sd15"), DEIS, rows, exact=False).value == 0.3


def test_another_law_stands_in_for_no_network():
    assert error_of(task(), DEIS, [seen("gaussian")], exact=False) is None
    assert "from gaussian, which cannot stand in for digits" in why_none(task(), DEIS, [seen("gaussian")])


def test_several_seeds_are_their_median_and_their_range():
    rows = [seen(seed=seed, sampler_error_parameters=e) for seed, e in enumerate([0.2, 0.9, 0.3])]
    found = error_of(task(), DEIS, rows, exact=False)
    assert found == Evidence(0.3, HERE, amount="median of 3 seeds", spread=(0.2, 0.9))
    assert str(found) == "measured here, median of 3 seeds, 0.2 to 0.9"


def test_replicates_of_a_seed_count_once():
    rows = [seen(sampler_error_parameters=0.2), seen(), seen(), seen(seed=1, sampler_error_parameters=0.5)]
    assert error_of(task(), DEIS, rows, exact=False).value == pytest.approx(0.4)


def test_rows_of_this_machine_come_before_others():
    rows = [seen(sampler_error_parameters=0.5, machine_id="there"), seen()]
    assert error_of(task(), DEIS, rows, exact=False).value == 0.3


def test_of_other_steps_the_next_fewer_and_more_count_and_the_larger_error_is_taken():
    errors = {5: 3.0, 20: 0.6, 40: 0.4, 80: 0.5, 160: 0.9}
    rows = [seen(steps=n, sampler_error_parameters=e) for n, e in errors.items()]
    found = error_of(task(), DEIS, rows, exact=False)
    assert (found.value, found.spread) == (0.5, (0.4, 0.5)) and "steps 40, 80 (asked 50)" in str(found)


def test_the_error_of_several_targets_is_the_largest():
    both = seen(targets=["x_T", "parameters"], sampler_error_x_T=0.7)
    assert error_of(task(targets=("x_T", "parameters")), DEIS, [both], exact=False).value == 0.7


def test_a_target_without_an_error_leaves_none():
    both = seen(targets=["x_T", "parameters"])
    assert error_of(task(targets=("x_T", "parameters")), DEIS, [both], exact=False) is None


def test_a_target_that_no_row_has_a_gradient_of_is_not_reached():
    lost = seen(targets=["x_T", "parameters"], grad_norm_parameters=1.0)
    assert unreached(task(targets=("x_T", "parameters")), DEIS, [lost]) == ["x_T"]


def test_the_methods_own_error_is_taken_where_precision_is_told_apart():
    assert error_of(task(), DEIS, [seen(method_error_parameters=0.2)], exact=False).value == 0.2


@pytest.mark.parametrize("name", EXACT_ONES)
def test_an_exact_estimator_needs_no_rows_against_the_sampler(name):
    assert error_of(task(), (name, dict(ESTIMATORS[name].defaults)), [], exact=True) == Evidence(0.0, EXACT)


def test_an_exact_estimator_needs_rows_against_the_flow():
    assert error_of(task(reference="flow"), CHECKPOINT, [], exact=True) is None


@pytest.mark.parametrize("asked", EXACT_ONES)
@pytest.mark.parametrize("measured", EXACT_ONES)
def test_equal_gradients_have_one_error_whoever_was_measured(asked, measured):
    rows = [seen(estimator=measured, options=dict(ESTIMATORS[measured].defaults))]
    found = error_of(task(reference="flow"), (asked, dict(ESTIMATORS[asked].defaults)), rows, exact=True)
    assert (found.value, found.how) == (0.4, HERE)


def test_of_equal_gradients_the_one_that_was_rounded_least_counts():
    rows = [
        seen(estimator=name, options={}, flow_error_parameters=e)
        for name, e in (("backprop", 0.4), ("reversible", 0.6))
    ]
    assert error_of(task(reference="flow"), CHECKPOINT, rows, exact=True).value == 0.4


def test_rounding_is_the_distance_of_an_exact_estimator_in_this_precision():
    rows = [seen(estimator="checkpoint", options={}, sampler_error_parameters=2e-6)]
    assert rounding_of(task(), CHECKPOINT, rows).value == 2e-6
    assert rounding_of(task(dtype="float16"), CHECKPOINT, rows) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "oom"}, "its 1 row ended in oom"),
        ({"options": {**DEIS[1], "order": 2}}, "no rows of it with these options"),
        ({"sampler_params": {**DDIM, "eta": 1.0}}, "for other samplers, ddim[eta=1.0,grid=leading]"),
        ({"sampler_params": {**DDIM, "grid": "uniform-t"}}, "for other samplers, ddim[eta=0.0,grid=uniform-t]"),
        ({"sampler_error_parameters": None}, "not compared with the sampler's gradient"),
    ],
)
def test_rows_of_something_else_are_no_evidence(changes, why):
    assert error_of(task(), DEIS, [seen(**changes)], exact=False) is None
    assert why in why_none(task(), DEIS, [seen(**changes)])


def test_an_option_that_an_old_row_lacks_is_the_default():
    old = seen(options={"order": 1}, case_params={"guidance": 1.0})
    assert error_of(task(), DEIS, [old], exact=False).how == HERE


def test_seconds_are_in_proportion_to_steps():
    found = seconds_of(task(), DEIS, [seen(steps=25)])
    assert (found.value, found.how) == (4.0, EXTRAPOLATED)


def test_seconds_are_of_one_machine():
    rows = [seen(time_s=t, machine_id=m) for t, m in ((1.0, "a"), (9.0, "b"), (11.0, "b"))]
    assert seconds_of(task(), DEIS, rows).value == 10.0
    assert seconds_of(task(machine="a"), DEIS, rows) == Evidence(1.0, HERE, "on another machine", "1 row")


def test_seconds_of_another_precision_are_none():
    assert seconds_of(task(dtype="float16"), DEIS, [seen()]) is None
