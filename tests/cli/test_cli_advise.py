"""`advise`: its defaults, how it explains each number, and wrong usage."""

import json

import pytest

from gradbench.measure.environment import provenance
from tests.command_line import gradbench
from tests.quick import quick

SOME = ("-e", "checkpoint", "-e", "adjoint-deis")


@pytest.fixture(scope="module")
def digits():
    return gradbench("advise", "-c", "digits", *SOME)


def test_what_is_left_out_is_the_usual_and_is_said(digits):
    first, second, *_ = digits.stdout.splitlines()
    assert first.startswith("digits, ddim[grid=leading], 50 steps, float32: gradient of x_T, condition and parameters")
    assert second == (
        "Not specified, so the defaults: ddim on the case's grid, 50 steps, the case's float32 and all of the case's "
        "targets."
    )


def test_published_rows_of_the_very_problem_are_measurements(digits):
    assert "adjoint-deis\n  error   0.22 (measured " in digits.stdout


def test_an_exact_estimator_is_first_and_declared(digits):
    # rows of this kind of machine count before those of others, and both kinds are published
    rounding = "3.2e-06" if provenance(())["machine_class"] == "AMD EPYC, 2 threads, 24 GiB" else "2.2e-06"
    assert f"Use: checkpoint\n  error   0 (declared exact; rounding {rounding}, measured " in digits.stdout


@pytest.mark.parametrize(
    ("selector", "named"),
    quick(
        [
            ("digits[guidance=7.5]", "guidance 1 (asked 7.5)"),
            ("digits[batch=3]", "(asked 3)"),
            ("digits[rank=8]", "rank 4 (asked 8)"),
            ("digits[label=4]", "label 3 (asked 4)"),
            ("digits[t_min=0.01]", "t_min 0.001 (asked 0.01)"),
        ],
        0,
    ),
)
def test_no_published_row_is_a_measurement_of_another_problem(selector, named):
    done = gradbench("advise", "-c", selector, "-e", "adjoint-deis", "--json")
    (option,) = json.loads(done.stdout)["chosen"]
    assert option["error"]["how"] == "extrapolated" and named in option["error"]["source"]


def test_what_nothing_is_known_of_is_listed_with_the_command_that_would_tell():
    done = gradbench("advise", "-c", "gaussian[dim=20]", "--target", "x_T", "-e", "spsa[c=0.5]", "-e", "checkpoint")
    assert "Not ranked, as no error is known:\n  spsa[c=0.5]: no rows of it with these options\n" in done.stdout
    assert "gradbench run -c 'gaussian[dim=20]' --sampler 'ddim[grid=uniform-t]' --steps 50 --target x_T" in done.stdout


def test_no_advice_is_exit_code_4():
    done = gradbench("advise", "-c", "digits", "-e", "adjoint-deis[steps=7]")
    assert done.returncode == 4 and "No advice" in done.stdout


def test_json_has_no_number_for_unlimited_memory():
    done = gradbench("advise", "-c", "digits", "-e", "checkpoint", "--json")
    assert json.loads(done.stdout)["task"]["memory"] is None and "Infinity" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "advise needs a case"),
        (
            ("-c", "dirac", "--target", "parameters"),
            "unknown target of case dirac 'parameters'; allowed: x_T, condition",
        ),
        (("-c", "sd15", "--dtype", "float64"), "unknown dtype of case sd15 'float64'"),
        (("-c", "digits", "--reference", "expected"), "unknown reference 'expected'; allowed: sampler, flow"),
        (("-c", "digits", "-c", "gaussian"), "advise takes one case, one sampler and one number of steps at a time"),
        (("-c", "digits", "--memory", "lots"), "--memory must be a size like 4GiB or 500MB, got 'lots'"),
        (("-c", "digits", "--max-error", "-1"), "max-error must lie in [0, 10], got -1.0"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(words, message):
    done = gradbench("advise", *words)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("gradbench: ") and message in done.stderr
