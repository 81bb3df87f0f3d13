"""The answer names the right estimator, gives its price, and declines if rows do not decide."""

from gradbench.analysis.answer import answer, outcome
from gradbench.analysis.cells import cells
from gradbench.analysis.standings import contests, settings
from gradbench.problems.spec import TARGETS
from tests.rows import MIB, failed, row


def answered(rows):
    found = cells(rows)
    return answer(found, contests(settings(found)))


def said(rows):
    return dict(answered(rows).sentences)


def exact(steps=(10, 20)):
    """Backprop and checkpoint exact, an adjoint off by 30 %; backprop fast and large, checkpoint slow and small."""
    return [
        row(name, own=error, steps=n, time_s=time_s * n, peak_bytes=peak)
        for n in steps
        for name, error, time_s, peak in (
            ("backprop", 0.0, 0.01, n * 8 * MIB),
            ("checkpoint", 1e-16, 0.02, 8 * MIB),
            ("adjoint-deis", 0.3, 0.02, 9 * MIB),
        )
    ]


def test_the_accurate_are_named_with_their_evidence_and_the_best_of_the_others():
    assert said(exact())["Accuracy"] == (
        "`backprop` and `checkpoint` give the gradient of the sampler that was run for x_T, exactly up to rounding, "
        "in all 2 settings on one case; the best of the others, `adjoint-deis`, is off by 30 % in the median."
    )


def test_the_leanest_of_the_accurate_is_told_with_what_the_fastest_needs():
    assert said(exact())["Memory"] == (
        "Use `checkpoint` where memory is short: `backprop` needs 14 times its memory (geometric mean over 2 settings; "
        "at most 20 times), 160 MiB instead of 8 MiB on `gaussian` at 20 steps."
    )


def test_the_fastest_of_the_accurate_is_told_with_the_time_of_the_leanest():
    assert said(exact())["Time"] == (
        "Use `backprop` where time counts: `checkpoint` takes 2 times as long (geometric mean over 2 settings; "
        "at most 2 times), 400 ms instead of 200 ms on `gaussian` at 20 steps."
    )


def test_one_that_is_leanest_and_fastest_is_told_as_both():
    rows = [row("a", own=0.0, time_s=1.0, peak_bytes=MIB), row("b", own=0.0, time_s=3.0, peak_bytes=2 * MIB)]
    assert said(rows)["Memory"].startswith("Use `a` where memory is short: `b` needs 2 times its memory")
    assert said(rows)["Time"].startswith("`a` is also the fastest of these: `b` takes 3 times as long")


def test_the_price_of_accuracy_is_told_beside_the_cheapest():
    rows = [row("a", own=0.0, peak_bytes=4 * MIB), row("b", own=0.3)]
    assert said(rows)["Memory"] == (
        "`b`, less accurate, is the leanest: `a` needs 4 times its memory, "
        "4 MiB instead of 1 MiB on `gaussian` at 10 steps."
    )
    assert said(rows)["Time"] == "`a` and `b` take about as long, 1 s and 1 s on `gaussian` at 10 steps."


def test_an_error_above_rounding_is_told_in_percent():
    rows = [row("a", flow=0.0123), row("b", flow=0.2)]
    assert said(rows)["Accuracy"].startswith(
        "`a` comes closest to the gradient of the exact flow for x_T, off by 1.2 %"
    )


def test_targets_with_the_same_winner_are_told_together():
    errors = {"a": (0.0, 0.0, 0.3), "b": (0.3, 0.3, 0.0)}
    rows = [row(n, **{f"sampler_error_{t}": e for t, e in zip(TARGETS, errors[n], strict=True)}) for n in "ab"]
    first, second = said(rows)["Accuracy"].split("; `b` gives")
    assert "for x_T and condition, exactly" in first
    assert second.startswith(" the gradient of the sampler that was run for parameters, exactly")


def test_costs_of_different_winners_are_told_by_target():
    errors = {"a": (0.0, 0.0, 0.3), "b": (0.3, 0.3, 0.0)}
    rows = [
        row(n, peak_bytes=peak * MIB, **{f"sampler_error_{t}": e for t, e in zip(TARGETS, errors[n], strict=True)})
        for n, peak in (("a", 1), ("b", 3))
    ]
    memory = said(rows)["Memory"]
    assert memory.startswith("For x_T and condition, `a` is also the leanest: `b` needs 3 times its memory")
    assert "for parameters, `a`, less accurate, is the leanest" in memory


def test_rows_that_do_not_decide_name_nobody():
    rows = [
        row(n, flow=e, steps=k)
        for k, pair in ((1, (0.1, 0.2)), (2, (0.2, 0.1)))
        for n, e in zip("ab", pair, strict=True)
    ]
    assert said(rows)["Accuracy"] == (
        "The rows do not decide which comes closest to the gradient of the exact flow for x_T: "
        "most often, at equal steps, it is `a` for x_T (1 of 2 settings)."
    )
    assert said(rows)["Memory"] == "No estimator is accurate often enough to weigh its memory."


def test_one_that_is_first_for_several_targets_is_told_once():
    rows = [
        row(n, steps=k, **{f"flow_error_{t}": e for t in TARGETS})
        for k, pair in ((1, (0.1, 0.2)), (2, (0.1, 0.2)), (3, (0.2, 0.1)))
        for n, e in zip("ab", pair, strict=True)
    ]
    assert "it is `a` for every target (2 of 3 settings)." in said(rows)["Accuracy"]


def test_estimators_as_far_off_as_zero_are_not_recommended():
    assert said([row("a", flow=0.97), row("b", flow=3.0)])["Accuracy"] == (
        "No estimator comes near the gradient of the exact flow for x_T: in the median all are off by 97 % or more."
    )


def test_the_gradient_of_what_was_run_is_answered_first_and_the_flow_in_a_note():
    found = answered([row("a", flow=0.1, own=0.0), row("b", flow=0.3, own=0.2)])
    assert found.reference == "sampler"
    assert found.notes[0].startswith("`a` comes closest to the gradient of the exact flow for x_T, off by 10 %")


def test_a_reference_whose_rows_decide_comes_before_one_whose_rows_do_not():
    rows = [row("a", flow=0.1, own=0.97), row("b", flow=0.3, own=0.99)]
    assert answered(rows).reference == "flow"


def test_an_estimator_that_ran_out_of_memory_somewhere_is_told_so():
    rows = exact(range(1, 21)) + [failed("backprop", 21), row("checkpoint", own=0.0, steps=21)]
    assert "in at least 95 % of 21 settings on one case (in the others it did not finish)" in said(rows)["Accuracy"]


def test_one_estimator_alone_is_compared_with_nothing():
    assert said([row("backprop", flow=0.1)]) == {
        "Accuracy": "Only `backprop` was measured, so there is nothing to compare it with."
    }


def test_estimators_that_never_met_are_not_compared():
    rows = [row("a", flow=0.1), row("b", flow=0.1, steps=20)]
    assert said(rows)["Accuracy"].startswith("No two estimators were compared with the same reference")


def test_only_failures_recommend_nobody():
    rows = [failed("a"), failed("b")]
    assert said(rows)["Accuracy"] == "Nothing was measured, so no estimator can be recommended."


def test_no_rows_have_an_answer_too():
    assert said([]) == {"Accuracy": "Nothing was run, so there is nothing to compare."}


def test_a_backtick_in_a_name_cannot_end_its_quotation():
    assert "`a'b`" in said([row("a`b", own=0.0), row("c", own=0.2)])["Accuracy"]


def test_one_seed_is_confessed():
    assert "Every cell was measured from one seed, so the spread over seeds is unknown." in answered(exact()).notes


def test_several_seeds_are_counted():
    rows = [line | {"seed": seed} for line in exact() for seed in range(5)]
    assert "Numbers are medians over 5 seeds." in answered(rows).notes


def test_the_size_of_what_was_measured_is_told():
    assert any("none of which needs more than 160 MiB" in note for note in answered(exact()).notes)


def test_a_busy_machine_is_told():
    rows = [line | {"machine_class": "x", "load": 3.0, "threads": 1} for line in exact()]
    assert any("one machine, which was busy (median load 3.0)" in note for note in answered(rows).notes)


def test_an_estimator_that_runs_another_sampler_is_told_by_its_largest_drift():
    rows = [line | {"x0_drift": 0.01 * line["steps"] * (line["estimator"] == "adjoint-deis")} for line in exact()]
    assert any(n.startswith("`adjoint-deis` made samples other than the sampler's (x_0 off by up to 20 %)")
               for n in answered(rows).notes)  # fmt: skip


def test_failures_are_told_with_their_reasons():
    rows = [row("backprop", flow=0.1), failed("revolve", status="skip", reason="needs a grid")]
    assert outcome(rows) == "Of 2 measurements, 1 succeeded; 1 was skipped (needs a grid)."


def test_a_clean_run_is_told_as_one():
    assert outcome([row("backprop"), row("checkpoint")]) == "All 2 measurements succeeded."
