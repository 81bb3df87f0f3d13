"""Performance profiles by hand."""

import math

import pytest

from gradbench.analysis import profile

INF = math.inf
COSTS = {
    "a": {"p": 1.0, "q": 4.0, "r": 6.0, "s": INF},
    "b": {"p": 2.0, "q": 2.0, "r": INF, "s": 3.0},
}


def test_ratios_are_to_the_best_of_each_problem_and_failures_are_infinite():
    assert profile.ratios(COSTS) == {"a": [1.0, 2.0, 1.0, INF], "b": [2.0, 1.0, INF, 1.0]}


def test_a_problem_that_nobody_solves_stays_a_failure_of_all():
    assert profile.ratios({"a": {"p": INF, "q": 1.0}, "b": {"p": INF, "q": 2.0}}) == {"a": [INF, 1.0], "b": [INF, 2.0]}


def test_rho_counts_the_problems_within_tau():
    a = profile.ratios(COSTS)["a"]
    assert [profile.share(a, tau) for tau in (0.9, 1.0, 2.0, 1e9)] == [0.0, 0.5, 0.75, 0.75]


def test_pairs_count_the_problems_asked_of_both():
    assert profile.pair(COSTS, "a", "b") == (0.5, 4)
    assert profile.pair({"a": {"p": 1.0, "q": INF}, "b": {"p": 1.0, "r": 1.0}}, "a", "b") == (1.0, 1)
    assert profile.pair({"a": {"p": 1.0}, "b": {"q": 1.0}}, "a", "b") is None


def test_a_pair_does_not_depend_on_who_else_is_compared():
    third = {"c": {"p": 0.1, "q": 0.1, "r": 0.1, "s": 0.1}}
    assert profile.pair(COSTS | third, "a", "b") == profile.pair(COSTS, "a", "b")
    assert profile.share(profile.ratios(COSTS | third)["a"], 2.0) != profile.share(profile.ratios(COSTS)["a"], 2.0)


def test_solvers_that_share_too_few_problems_are_left_out():
    ten = [f"p{i}" for i in range(10)]
    costs = {"a": dict.fromkeys(ten, 1.0), "b": dict.fromkeys(ten, 2.0), "c": dict.fromkeys(ten[:4], 3.0)}
    assert list(profile.common(costs)) == ["a", "b"] and list(profile.common(costs)["a"]) == ten
    costs["c"] = dict.fromkeys(ten[:6], 3.0)
    assert list(profile.common(costs)) == ["a", "b", "c"] and list(profile.common(costs)["a"]) == ten[:6]


def test_a_lone_solver_is_compared_with_nobody():
    assert profile.common({"a": {"p": 1.0}}) == {}


def test_the_band_is_the_binomial_interval_of_the_share():
    low, high = profile.band([1.0] * 50 + [INF] * 50, [1.0])
    assert low[0] == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert high[0] == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)


def test_the_band_of_a_certain_share_has_no_width():
    assert profile.band([1.0, 2.0], [3.0]) == ([1.0], [1.0])
