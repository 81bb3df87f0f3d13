"""The answer names the right estimator, and says what did not run."""

from gradbench.analysis.summary import answer
from gradbench.analysis.winners import winners

MIB = 1024**2


def row(estimator, flow=None, sampler=None, steps=10, time_s=1.0, peak=MIB, case="gaussian", **columns):
    return {
        "case": case, "sampler": "ddim", "steps": steps, "estimator": estimator, "status": "ok", "dtype": "float64",
        "reference_tol": 1e-10, "flow_error_x_T": flow, "sampler_error_x_T": sampler, "time_s": time_s,
        "peak_bytes": peak, **columns,
    }  # fmt: skip


def test_the_smallest_flow_error_wins():
    rows = [row("backprop", flow=0.2), row("adjoint-deis", flow=0.01), row("spsa", flow=1.0)]
    assert [winner.cell.estimator for winner in winners(rows)] == ["adjoint-deis"]


def test_among_equals_the_fastest_wins_and_the_leanest_is_named():
    rows = [row("checkpoint", sampler=1e-12, time_s=2.0), row("backprop", sampler=0.0, peak=8 * MIB)]
    winner = winners(rows)[0]
    assert (winner.cell.estimator, winner.leanest.estimator, winner.equals) == ("backprop", "checkpoint", 2)


def test_against_the_sampler_gradient_only_the_largest_number_of_steps_competes():
    rows = [row("spsa", sampler=0.0, steps=5), row("backprop", sampler=0.1, steps=40)]
    assert winners(rows)[0].cell.estimator == "backprop"


def test_the_expected_gradient_is_not_told_twice_where_it_is_that_of_the_sampler():
    same = row("backprop", sampler=0.1, expected_error_x_T=0.1)
    other = row("backprop", sampler=0.1, expected_error_x_T=0.3)
    assert [winner.reference for winner in winners([same])] == ["sampler"]
    assert [winner.reference for winner in winners([other])] == ["sampler", "expected"]


def test_an_error_that_is_not_finite_never_wins():
    assert winners([row("adjoint-dpm", flow=float("nan"))]) == []


def test_a_failed_cell_never_wins():
    assert winners([row("adjoint-dpm", flow=1e-3, status="diverged")]) == []


def test_the_sentence_gives_error_time_and_memory():
    sentence = answer([row("adjoint-deis", flow=0.0123, time_s=0.5, peak=3 * MIB)])[0]
    assert sentence == (
        "Closest to the flow gradient with respect to x_T is adjoint-deis with ddim at 10 steps on gaussian "
        "(error 1.2e-02, 500 ms and 3 MiB)."
    )


def test_an_error_at_the_floor_is_not_told_as_a_number():
    assert "error below 1.0e-10, the floor of the reference" in answer([row("checkpoint", flow=3e-14)])[0]


def test_many_cases_are_counted():
    rows = [row("backprop", flow=0.1, case=f"case-{k}") for k in range(5)]
    assert answer(rows)[0] == (
        "Closest to the flow gradient with respect to x_T is backprop on 5 of 5 cases; the table below names each."
    )


def test_a_case_without_a_flow_gradient_is_told():
    rows = [row("backprop", flow=0.1), row("backprop", sampler=0.0, case="digits")]
    assert answer(rows)[0].endswith("; it is not known on digits.")


def test_failures_are_told_with_their_reasons():
    rows = [row("backprop", flow=0.1), row("revolve", status="skip", reason="needs a grid")]
    assert answer(rows)[-1] == "Of 2 cells, 1 ended well; 1 was skipped (needs a grid)."


def test_a_clean_run_is_told_as_one():
    assert answer([row("backprop", flow=0.1), row("checkpoint", flow=0.1)])[-1] == "All 2 cells ended well."


def test_only_failures_make_nobody_accurate():
    sentences = answer([row("backprop", status="oom", reason="too large")])
    assert sentences == [
        "No error was measured, so no estimator can be called accurate.",
        "Of 1 cell, none ended well; 1 ran out of memory (too large).",
    ]


def test_no_rows_have_an_answer_too():
    assert answer([]) == ["Nothing was run, so there is nothing to compare."]
