"""Profiles by hand, and what ran."""

import pytest

from gradbench.report.points import Ask, NoData
from gradbench.report.static.profiles import profile_pairs, profiles
from gradbench.report.static.statuses import coverage
from tests.rows import failed, row


def rows():
    """Two problems. On p both reach 0.05: a in 1 s at 20 steps, b in 4 s. On q a never does, b in 2 s."""
    p, q = {"case": "p"}, {"case": "q"}
    return [
        row("backprop", 10, 0.2, time_s=0.5, **p), row("backprop", 20, 0.04, time_s=1.0, **p),
        row("backprop", 40, 0.01, time_s=9.0, **p), row("backprop", 20, 0.3, time_s=1.0, **q),
        row("checkpoint", 20, 0.05, time_s=4.0, **p), row("checkpoint", 20, 0.01, time_s=2.0, **q),
    ]  # fmt: skip


def test_a_profile_counts_the_problems_solved_within_each_ratio():
    _, table = profiles(rows(), Ask(error=0.05))
    time = table[table.cost == "time"]
    found = {name: list(zip(part.ratio, part["share"], strict=True)) for name, part in time.groupby("estimator")}
    assert found["backprop"] == [(1.0, 0.5), (4.0, 0.5), (pytest.approx(5.2), 0.5)]
    assert found["checkpoint"] == [(1.0, 0.5), (4.0, 1.0), (pytest.approx(5.2), 1.0)]


def test_a_profile_warns_of_sets_of_solvers_and_names_its_target():
    figure, _ = profiles(rows(), Ask(error=0.05))
    note = " ".join(figure.legends[0].get_title().get_text().split())
    assert "Gould and Scott, 2016" in note and "dL/dx_T within 0.05 of the exact flow" in note


def test_a_failed_run_is_a_problem_not_solved():
    given = [*rows(), row("revolve", 20, 0.01, case="p"), failed("revolve", 20, case="q")]
    _, table = profiles(given, Ask(error=0.05))
    time = table[(table.cost == "time") & (table.estimator == "revolve")]
    assert time["share"].max() == 0.5


def test_who_was_asked_too_little_is_named_without_a_share():
    given = [*rows(), *(row(name, 20, 0.01, case=f"r{i}") for i in range(4) for name in ("backprop", "checkpoint"))]
    _, table = profiles([*given, row("revolve", 20, 0.01, case="p")], Ask(error=0.05))
    revolve = table[table.estimator == "revolve"]
    assert revolve["share"].isna().all() and len(revolve) == 2


def test_the_target_is_one_that_about_half_reach():
    _, table = profiles(rows())
    assert set(table.error_target) == {0.01}  # of four best errors 0.01, 0.3, 0.05, 0.01 half are at most 0.01


def test_pairs_are_shares_of_the_problems_asked_of_both():
    _, table = profile_pairs(rows(), Ask(error=0.05))
    time = table[table.cost == "time"].set_index(["first", "second"])["share"]
    assert (time["backprop", "checkpoint"], time["checkpoint", "backprop"]) == (0.5, 0.5)


def test_one_problem_has_no_profile():
    with pytest.raises(NoData, match="share two problems"):
        profiles(rows()[:1])


def test_coverage_lists_every_status_with_its_reason():
    given = [row("backprop", 5, 0.1), failed("backprop", 40), failed("reversible", 5, "skip", "no inverse step")]
    figure, table = coverage(given)
    found = list(zip(table.estimator, table.steps, table.status, table.reason, table.rows, strict=True))
    assert found == [("backprop", 5, "ok", "", 1), ("backprop", 40, "oom", "too large", 1),
                     ("reversible", 5, "skip", "no inverse step", 1)]  # fmt: skip
    assert [text.get_text() for text in figure.axes[0].texts] == ["1/2 M", "–"]


def test_a_box_is_shared_by_its_statuses():
    figure, _ = coverage([row("backprop", n, 0.1) for n in (5, 10, 20)] + [failed("backprop", 40)])
    assert [patch.get_width() for patch in figure.axes[0].patches] == [pytest.approx(0.75), pytest.approx(0.25)]


def test_coverage_needs_rows():
    with pytest.raises(NoData, match="no rows"):
        coverage([])
