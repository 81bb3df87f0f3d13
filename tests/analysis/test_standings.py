"""Estimators are ranked within settings, and settings within cases."""

import math

import pytest
from rows import MIB, row

from gradbench.analysis.cells import cells
from gradbench.analysis.standings import WORK, cheapest, error_of, settings, verdicts


def judged(rows):
    return {(v.reference, v.target): v for v in verdicts(settings(cells(rows)))}


def standing(verdict, estimator):
    return next(s for s in verdict.standings if s.estimator == estimator)


def accurate(rows, question=("flow", "x_T")):
    return [s.estimator for s in judged(rows)[question].accurate]


def test_a_setting_is_one_case_sampler_and_number_of_steps():
    found = settings(cells([row("a"), row("b"), row("a", steps=20), row("a", case="dirac")]))
    assert [sorted(setting) for setting in found] == [["a", "b"], ["a"], ["a"]]


def test_within_a_tenth_of_the_smallest_error_is_as_accurate():
    assert accurate([row("a", flow=0.100), row("b", flow=0.109), row("c", flow=0.111)]) == ["a", "b"]


def test_below_the_accuracy_of_the_reference_all_are_equal():
    assert accurate([row("a", flow=0.0), row("b", flow=9e-11), row("c", flow=2e-10)]) == ["a", "b"]


def test_below_the_rounding_of_their_arithmetic_all_are_equal():
    rows = [row("a", flow=1e-7, dtype="float32"), row("b", flow=9e-6, dtype="float32")]
    assert accurate(rows) == ["a", "b"]


def test_settings_count_by_case():
    many = [row(name, flow=error, steps=n) for n in range(1, 100) for name, error in (("a", 0.1), ("b", 0.2))]
    few = [row(name, flow=error, case="dirac") for name, error in (("a", 0.2), ("b", 0.1))]
    verdict = judged(many + few)["flow", "x_T"]
    assert (standing(verdict, "a").share, standing(verdict, "a").near, standing(verdict, "a").asked) == (0.5, 99, 100)
    assert verdict.accurate == ()


def test_nine_tenths_of_the_settings_decide_and_eight_do_not():
    def contest(wins):
        errors = [(0.1, 0.2)] * wins + [(0.2, 0.1)] * (10 - wins)
        return [row(n, flow=e, steps=k) for k, pair in enumerate(errors) for n, e in zip("ab", pair, strict=True)]

    assert accurate(contest(9)) == ["a"]
    assert accurate(contest(8)) == []


def test_who_ran_in_less_than_half_of_the_settings_is_not_named():
    rows = [row(name, flow=0.2, steps=n) for n in range(10) for name in "ab"]
    rows += [row("c", flow=0.1, steps=n) for n in range(4)]
    verdict = judged(rows)["flow", "x_T"]
    assert standing(verdict, "c").share == 1.0
    assert "c" not in [s.estimator for s in verdict.accurate]


def test_who_is_as_far_off_as_zero_is_not_named():
    assert accurate([row("a", flow=0.95), row("b", flow=2.0)]) == []


def test_a_failure_counts_against_its_estimator_and_a_skip_does_not():
    rows = [row(name, flow=0.1, steps=n) for n in (1, 2) for name in "ab"]
    rows += [row("a", status="oom", steps=3), row("b", flow=0.1, steps=3)]
    rows += [row("a", flow=0.1, steps=4), row("b", status="skip", steps=4), row("c", flow=0.1, steps=4)]
    verdict = judged(rows)["flow", "x_T"]
    assert (standing(verdict, "a").near, standing(verdict, "a").asked, standing(verdict, "a").failed) == (3, 4, 1)
    assert (standing(verdict, "b").near, standing(verdict, "b").asked) == (3, 3)


def test_a_setting_with_one_estimator_compares_nothing():
    assert judged([row("a", flow=0.1), row("b", flow=0.1, steps=20)]) == {}


def drawn(estimator, error, snr, nfe, draws=100, **columns):
    numbers = {"expected_error_x_T": error, "snr_x_T": snr, "draws": draws, "nfe_forward": nfe, "nfe_backward": 0}
    return row(estimator, **numbers, **columns)


def test_an_estimator_that_draws_is_compared_at_equal_work():
    (cell,) = cells([drawn("reinforce", error=math.hypot(0.3, 0.2), snr=0.5, nfe=10, draws=100)])
    assert error_of(cell, "expected", "x_T") == pytest.approx(math.sqrt(0.3**2 + 2.0**2 * 10 / WORK))


def test_more_draws_of_the_same_estimator_make_no_better_one():
    few, many = (
        error_of(cells([drawn("a", error=math.sqrt(0.01 + 4 / n), snr=0.5, nfe=10, draws=n)])[0], "expected", "x_T")
        for n in (100, 10_000)
    )
    assert few == pytest.approx(many)


def test_the_expected_gradient_of_a_sampler_without_noise_is_told_once():
    rows = [row(name, sampler=0.1, expected_error_x_T=0.1) for name in "ab"]
    assert [reference for reference, _ in judged(rows)] == ["sampler"]


def test_the_expected_gradient_of_a_stochastic_sampler_has_its_own_verdict():
    rows = [row("backprop", sampler=0.0), row("checkpoint", sampler=0.0)]
    rows += [drawn("reinforce", 0.5, 0.1, 10), drawn("alignprop", 0.1, 1.0, 10)]
    assert accurate(rows, ("expected", "x_T")) == ["alignprop"]


def test_costs_are_compared_within_settings():
    rows = [row("a", peak=MIB, steps=n) for n in (1, 2)] + [row("b", peak=2 * MIB), row("b", peak=8 * MIB, steps=2)]
    rows += [row("a", peak=MIB), row("c", peak=MIB / 8, steps=3)]
    assert cheapest(settings(cells(rows)), "abc", "peak_bytes") == [("a", 1.0), ("b", 4.0)]
