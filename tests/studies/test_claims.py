"""Verdicts on claims, from rows made by hand, which no page shows."""

import pytest

from gradbench.bench.row import Row
from studies.pages.claims import claims, verdict_of
from studies.pages.ddim import ddim
from tests.runs import of_a_task

ALIGN = "align"


@pytest.fixture(scope="module")
def told():
    """Five seeds, whose scores differ by a tenth of the distance between the estimators."""
    rows = []
    for row in of_a_task():
        if row["seed"] == 0:
            for seed in range(5):
                end = row["last_held_out"] + 0.01 * seed
                course = row["course"] | {"held_out": [*row["course"]["held_out"][:-1], end]}
                rows.append(Row(row | {"seed": seed, "last_held_out": end, "course": course}))
    return claims(rows)


def test_a_lead_that_is_clear_on_all_rivals_holds(told):
    assert told["task_verdict"](ALIGN, "checkpoint", ["draft", "reinforce"], "queries") == "holds"


def test_a_lead_at_equal_evaluations_may_be_another_than_at_equal_queries(told):
    assert told["task_verdict"](ALIGN, "checkpoint", ["draft", "reinforce"], "evaluations") == "holds in part"
    assert told["task_verdict"](ALIGN, "reinforce", ["checkpoint", "draft"], "evaluations") == "does not hold"


def test_a_lead_is_told_with_its_interval(told):
    assert told["task_leads"](ALIGN, "checkpoint", ["draft"], "queries").startswith("`draft` +0.3±")


def test_what_moves_beyond_its_interval_has_moved(told):
    assert told["task_moved"]([ALIGN], "checkpoint") == "holds"


def test_an_estimator_without_five_seeds_is_no_evidence():
    with pytest.raises(ValueError, match="5 seeds"):
        claims(of_a_task())["task_lines"](ALIGN)


def test_lines_are_ordered_by_their_ends(told):
    assert [line[0] for line in told["task_lines"](ALIGN)] == ["`checkpoint`", "`draft`", "`reinforce`"]


def test_verdicts_are_all_some_or_none():
    assert [verdict_of(flags) for flags in ([True, True], [True, False], [False])] == [
        "holds",
        "holds in part",
        "does not hold",
    ]


def test_ddims_claims_are_read_from_its_numbers():
    quality = {("ddim", 5): 2.0, ("ddim", 20): 0.5, ("ddim", 50): 0.9, ("ddim[eta=1]", 1000): 0.6}
    kept = {
        "quality": [
            {"sampler": sampler, "steps": steps, "distance": [value], "known": [1.0]}
            for (sampler, steps), value in quality.items()
        ],
        "again": [{"steps": n, "digits": 1 / n, "emoji": 2 / n} for n in (5, 10)],
        "between": [{"weight": w, "known": share} for w, share in ((0, 0.98), (0.5, 0.97), (1, 0.99))],
    }
    told = ddim(kept)
    assert told["ddim_speed_verdict"]() == "holds in part"  # 20 steps are better, 50 are not
    assert told["ddim_falls"]() == "holds in part"
    assert told["ddim_between_verdict"]() == told["ddim_again_verdict"]() == "holds"
