"""Estimators are ranked within settings, and settings within cases."""

import math

import pytest

from gradbench.analysis.cells import cells
from gradbench.analysis.noise import WORK
from gradbench.analysis.standings import cheapest, contests, error_of, settings
from tests.rows import MIB, cell, drawn, failed, row


def judged(rows):
    return {(v.reference, v.target): v for v in contests(settings(cells(rows)))}


def standing(contest, estimator):
    return next(s for s in contest.standings if s.estimator == estimator)


def accurate(rows, question=("flow", "x_T")):
    return [s.estimator for s in judged(rows)[question].accurate]


def test_a_setting_is_one_case_sampler_and_number_of_steps():
    found = settings(cells([row("a"), row("b"), row("a", steps=20), row("a", case="dirac")]))
    assert [sorted(setting) for setting in found] == [["a", "b"], ["a"], ["a"]]


def test_within_a_tenth_of_the_smallest_error_is_as_accurate():
    assert accurate([row("a", flow=0.100), row("b", flow=0.109), row("c", flow=0.111)]) == ["a", "b"]


def test_below_the_accuracy_of_the_reference_all_are_equal():
    rows = [row(name, flow=error, reference_tol=1e-10) for name, error in (("a", 0.0), ("b", 9e-11), ("c", 2e-10))]
    assert accurate(rows) == ["a", "b"]


def test_below_the_rounding_of_their_arithmetic_all_are_equal():
    rows = [row("a", flow=1e-7, dtype="float32"), row("b", flow=9e-6, dtype="float32")]
    assert accurate(rows) == ["a", "b"]


def test_settings_count_by_case():
    many = [row(name, flow=error, steps=n) for n in range(1, 100) for name, error in (("a", 0.1), ("b", 0.2))]
    few = [row(name, flow=error, case="dirac") for name, error in (("a", 0.2), ("b", 0.1))]
    contest = judged(many + few)["flow", "x_T"]
    assert (standing(contest, "a").share, standing(contest, "a").near, standing(contest, "a").asked) == (0.5, 99, 100)
    assert contest.accurate == ()


def test_nine_tenths_of_the_settings_decide_and_eight_do_not():
    def contest(wins):
        errors = [(0.1, 0.2)] * wins + [(0.2, 0.1)] * (10 - wins)
        return [row(n, flow=e, steps=k) for k, pair in enumerate(errors) for n, e in zip("ab", pair, strict=True)]

    assert accurate(contest(9)) == ["a"]
    assert accurate(contest(8)) == []


def test_who_ran_in_less_than_half_of_the_settings_is_not_named():
    rows = [row(name, flow=0.2, steps=n) for n in range(10) for name in "ab"]
    rows += [row("c", flow=0.1, steps=n) for n in range(4)]
    contest = judged(rows)["flow", "x_T"]
    assert standing(contest, "c").share == 1.0
    assert "c" not in [s.estimator for s in contest.accurate]


def test_who_is_as_far_off_as_zero_is_not_named():
    assert accurate([row("a", flow=0.95), row("b", flow=2.0)]) == []


def test_a_failure_counts_against_its_estimator_and_a_skip_does_not():
    rows = [row(name, flow=0.1, steps=n) for n in (1, 2) for name in "ab"]
    rows += [failed("a", 3), row("b", flow=0.1, steps=3)]
    rows += [row("a", flow=0.1, steps=4), failed("b", 4, "skip"), row("c", flow=0.1, steps=4)]
    contest = judged(rows)["flow", "x_T"]
    assert (standing(contest, "a").near, standing(contest, "a").asked, standing(contest, "a").failed) == (3, 4, 1)
    assert (standing(contest, "b").near, standing(contest, "b").asked) == (3, 3)


def test_a_setting_with_one_estimator_compares_nothing():
    assert judged([row("a", flow=0.1), row("b", flow=0.1, steps=20)]) == {}


def test_an_estimator_that_draws_is_compared_at_equal_work():
    noisy = cell(drawn(expected=math.hypot(0.3, 0.2), snr=0.5, ratio=1.0, draws=100, nfe=(8, 2, 2)))
    assert error_of(noisy, "expected", "x_T") == pytest.approx(math.sqrt(0.3**2 + 2.0**2 * 10 / WORK))


def test_more_draws_of_the_same_estimator_make_no_better_one():
    few, many = (
        error_of(cell(drawn(expected=math.sqrt(0.01 + 4 / n), snr=0.5, ratio=1.0, draws=n)), "expected", "x_T")
        for n in (100, 10_000)
    )
    assert few == pytest.approx(many)


def test_the_expected_gradient_of_a_sampler_without_noise_is_told_once():
    rows = [row(name, own=0.1, expected=0.1) for name in "ab"]
    assert [reference for reference, _ in judged(rows)] == ["sampler"]


def test_the_expected_gradient_of_a_stochastic_sampler_has_its_own_contest():
    rows = [row("backprop", own=0.0), row("checkpoint", own=0.0)]
    rows += [drawn("reinforce", 10, expected=0.5, snr=0.1), drawn("alignprop", 10, expected=0.1, snr=1.0)]
    assert accurate(rows, ("expected", "x_T")) == ["alignprop"]


def test_costs_are_compared_within_settings():
    sizes = [("a", 1, 1), ("a", 2, 1), ("b", 10, 2), ("b", 2, 8), ("a", 10, 1), ("c", 3, 0.125)]
    rows = [row(name, n, peak_bytes=size * MIB) for name, n, size in sizes]
    assert cheapest(settings(cells(rows)), "abc", "peak_bytes") == [("a", 1.0), ("b", 4.0)]
