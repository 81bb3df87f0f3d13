"""Every estimator that is broken on purpose fails the check meant for it, with the number, and no check besides."""

import pytest

from gradbench.testing.catalogue import CHECKS
from gradbench.testing.judge import judge
from gradbench.testing.subject import subject_of

AGAIN = ("deterministic", "seeds")  # what is not the same twice is not the same for a seed
BROKEN = {  # the check meant for each, what it says, and the checks that cannot but fail too
    "WrongSign": ("exact", "2.0e+00 from backprop in condition", ()),
    "ScaledPullback": ("exact", "1.0e-03 from backprop", ()),
    "LostOrder": ("order", "declared order 2, fitted 0.99", ()),
    "Biased": ("unbiased", "standard errors from the expected gradient", ()),
    "WrongShape": ("answer", "the gradient of x_T has shapes [(6,)], not [(2, 3)]", ("serves", "batch")),
    "OtherObjective": ("answer", "its objective is", ()),
    "Undetermined": ("deterministic", "two calls on one problem differ by", AGAIN),
    "GlobalRandom": ("unmutated", "it changed torch's random state", AGAIN),
    "IgnoredSeed": ("seeds", "seeds 1 and 2 give the same gradient", ()),
    "MovedCondition": ("unmutated", "it changed condition", (*AGAIN, "targets", "batch")),
    "LeftGrad": ("unmutated", "it changed .grad of condition", ()),
    "SwallowedTarget": ("targets", "no gradient of condition when all are requested", ()),
    "FirstOfBatch": ("batch", "a permuted batch has a different gradient: x_T", ()),
    "Single": ("dtypes", "the gradient of x_T is torch.float32, its leaf torch.float64", ()),
    "HalfInside": ("dtypes", "float32 is not float64 rounded: x_T", ()),
    "AllTapes": ("memory", "declared constant, and it grows by 1.50 states a step", ()),
    "Miscount": ("counts", "it says 5 + 0 evaluations and 6 VJPs, the denoiser counted 6 and 6", ()),
    "NoReason": ("reason", "supports refuses with an empty reason", ()),
    "AnswersAnyway": ("refused", "gets an answer anyway", ()),
    "FailsServed": ("serves", "it does not refuse edict", ()),
}


def subject(name):
    return subject_of(f"gradbench.testing.broken:{name}")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_estimator_fails_the_check_meant_for_it(name):
    check, words, _ = BROKEN[name]
    verdict = judge(subject(name), check)
    assert verdict.status == "failed" and words in verdict.said, verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_estimator_fails_no_other_check(name):
    check, _, besides = BROKEN[name]
    verdicts = [judge(subject(name), each) for each in CHECKS]
    assert {verdict.check for verdict in verdicts if verdict.status == "failed"} == {check, *besides}


def test_every_check_has_an_estimator_that_fails_it():
    assert {check for check, _, _ in BROKEN.values()} == set(CHECKS)


def test_every_broken_estimator_is_tried():
    import inspect

    from gradbench.testing import broken

    made = {n for n, c in inspect.getmembers(broken, inspect.isclass) if c.__module__ == broken.__name__}
    assert {name for name in made if not name.startswith("_")} == set(BROKEN)


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("Raise", "answer", "it raised RuntimeError: raised on purpose"),
        ("NotANumber", "answer", "the gradient of x_T is not finite"),
        ("WrongTarget", "answer", "returned a gradient of 'weights', asked for x_T, condition, parameters"),
        ("Mutate", "unmutated", "it changed x_T"),
        ("IgnoreSeed", "unbiased", "of 32 draws it gives no std_error"),
    ],
)
def test_faults_of_the_harness_fail_checks_too(fault, check, words):
    verdict = judge(subject_of(f"gradbench.testing.faults:{fault}"), check)
    assert verdict.status == "failed" and words in verdict.said, verdict
