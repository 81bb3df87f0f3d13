"""What `compare` calls worse, better, failing, fixed, suspicious and not comparable, on measured rows."""

import math
from collections import Counter

import pytest

from gradbench.compare.compare import compare
from tests.runs import PLACE, baseline, timed, with_value

DDIM = baseline("gaussian", "ddim", steps=20)
DRAWN = baseline("gaussian", "ddim", "reinforce")
COMPUTED = [row for row in DDIM if "draws" not in row]


def marks(base, new, factor=1.10):
    """How often each (metric, mark) is given, except for what cannot be compared."""
    found = compare(base, new, factor)
    return Counter((finding.metric, finding.mark) for finding in found.findings if finding.mark != "x")


def test_the_same_rows_are_the_same():
    found = compare(DDIM, DDIM, metrics=["status", "gradient", "nfe", "memory"])
    assert not found.findings and found.exit_code == 0
    assert found.compared == {name: len(DDIM) for name in ("status", "gradient", "nfe", "memory")}


# time


def test_a_fifth_slower_is_worse_on_a_machine_of_another_speed():
    assert marks(timed(DDIM, 1), timed(DDIM, 2, slower=1.2)) == {("time", "+"): 1}


def test_a_fifth_faster_is_better():
    assert marks(timed(DDIM, 1, slower=1.2), timed(DDIM, 2)) == {("time", "-"): 1}


def test_a_fifth_slower_is_fine_where_the_factor_allows_it():
    assert not marks(timed(DDIM, 1), timed(DDIM, 2, slower=1.2), factor=1.5)


def test_slower_without_being_significant_is_suspicious():
    noisy = [{**row, "time_s": row["time_s"] * (1 + 0.8 * (row["replicate"] % 2))} for row in timed(DDIM[:1], 2)]
    assert marks(timed(DDIM[:1], 1), noisy) == {("time", "~"): 1}


def test_fewer_than_five_replicates_are_refused_with_the_reason_and_the_rest_compared():
    found = compare(timed(DDIM, 1), with_value(timed(DDIM, 2, processes=4, slower=2), vjps=999))
    assert found.marked("x")[0].note == "not enough replicates (5 in BASE, 4 in NEW): time needs 5, see --replicates"
    assert len(found.marked("x")) == len(DDIM) and found.marked("+")[0].column == "vjps"


def test_slower_on_a_busy_machine_is_suspicious_unless_measured_in_turns():
    base, new = ([{**row, "load": 3.1} for row in timed(DDIM, seed, slower)] for seed, slower in ((1, 1.0), (2, 1.3)))
    (finding,) = compare(base, new).findings
    assert finding.mark == "~" and "busy machine, load 3.1 on 2 threads" in finding.note
    assert compare(base, new, interleaved=True).exit_code == 1
    assert compare([{**row, "load": 2.9} for row in base], [{**row, "load": 2.9} for row in new]).exit_code == 1


@pytest.mark.parametrize("other", [{"machine_class": "another CPU"}, {"gpu": "a GPU"}, {"threads": 2}])
def test_times_of_another_machine_class_are_refused_and_the_rest_compared(other):
    elsewhere = [{**row, **other} for row in timed(DDIM, 2, slower=2)]
    found = compare(timed(DDIM, 1), elsewhere)
    assert {finding.metric for finding in found.findings} == {"time"}
    assert found.marked("x")[0].note.startswith("different machine classes") and found.compared["memory"] == len(DDIM)


def test_a_baseline_without_times_says_so():
    assert compare(DDIM, timed(DDIM, 1)).marked("x")[0].note == "BASE has no times"


def test_times_without_a_calibration_are_no_times():
    uncalibrated = [{**row, "calibration_s": None} for row in timed(DDIM, 2)]
    assert compare(timed(DDIM, 1), uncalibrated).marked("x")[0].note == "NEW has no times"


def test_every_compared_cell_has_a_minimum_detectable_change():
    found = compare(timed(DDIM, 1), timed(DDIM, 2))
    assert len(found.detectable) == len(DDIM) and all(1.10 < x < 1.25 for x in found.detectable.values())


# counts and memory


@pytest.mark.parametrize("column", ["nfe_forward", "nfe_backward", "vjps"])
def test_one_more_evaluation_is_worse_and_one_less_better(column):
    more = with_value(DDIM, **{column: DDIM[0][column] + 1})
    assert marks(DDIM, more) == {("nfe", "+"): 1} and marks(more, DDIM) == {("nfe", "-"): 1}


@pytest.mark.parametrize("index", range(5))
def test_two_percent_more_memory_is_worse_however_small_the_cell(index):
    peak = DDIM[index]["peak_bytes"]
    assert marks(DDIM, with_value(DDIM, index, peak_bytes=math.ceil(1.02 * peak))) == {("memory", "+"): 1}


def test_one_byte_is_told_under_one_torch_and_one_percent_under_two():
    grown = with_value(DDIM, peak_bytes=DDIM[0]["peak_bytes"] + 1)
    assert marks(DDIM, grown) == {("memory", "+"): 1}
    assert not marks(DDIM, [{**row, "torch": "2.14.0+cpu"} for row in grown])
    assert not marks([{**row, "torch": "2.13.0+cu130"} for row in DDIM], DDIM)


def test_on_cuda_a_percent_counts_from_a_mebibyte_on():
    base = [{**DDIM[0], "device": "cuda", "peak_bytes": 1 << 30}, {**DDIM[1], "device": "cuda", "peak_bytes": 1 << 20}]
    assert not marks(base, with_value(base, 1, peak_bytes=2 << 20))
    assert not marks(base, with_value(base, 0, peak_bytes=int(1.009 * (1 << 30))))
    assert marks(base, with_value(base, 0, peak_bytes=int(1.02 * (1 << 30)))) == {("memory", "+"): 1}


# deterministic gradients


def scaled(rows, factor):
    """All gradients scaled by a factor: what a factor in a pullback does to the columns."""
    out = []
    for row in rows:
        new = {k: factor * v for k, v in row.items() if k.startswith("grad_norm") or "_norm_ratio_" in k}
        for column, error in row.items():
            if "_error_" in column and not column.startswith("std"):
                ratio = row[column.replace("error", "norm_ratio")]
                along = (1 + ratio**2 - error**2) / 2  # <g, ref>/|ref|^2
                new[column] = math.sqrt(max(0.0, factor**2 * ratio**2 - 2 * factor * along + 1))
        out.append({**row, **new})
    return out


@pytest.mark.parametrize("factor", [1 + 1e-3, 1 - 1e-3, 1 + 1e-5])
def test_a_factor_in_a_pullback_is_worse_in_every_cell(factor):
    found = compare(COMPUTED, scaled(COMPUTED, factor))
    exact = {row["cell_id"] for row in COMPUTED if row["estimator"] in ("backprop", "checkpoint", "revolve")}
    worse = {finding.cell["cell_id"] for finding in found.marked("+")}
    assert found.exit_code == 1 and exact <= worse
    assert {finding.cell["cell_id"] for finding in found.findings} == {row["cell_id"] for row in COMPUTED}


def test_a_wrong_sign_in_one_target_is_worse_in_that_target_alone():
    row = next(row for row in COMPUTED if row["estimator"] == "checkpoint")
    flipped = {f"{kind}_error_condition": 2.0 for kind in ("sampler", "expected", "flow")}
    found = compare(COMPUTED, [{**r, **flipped} if r is row else r for r in COMPUTED])
    assert {(f.mark, f.column) for f in found.findings if f.mark != "x"} == {("+", column) for column in flipped}


def test_a_lost_order_is_worse():
    row = next(row for row in COMPUTED if row["estimator_params"].get("rule") == "rk4")
    assert marks([row], [{**row, "sampler_error_x_T": 2 * row["sampler_error_x_T"]}]) == {("gradient", "+"): 1}


def test_rounding_of_another_cpu_is_no_change():
    """1e-10 of every number, more than two instruction sets of one CPU differ by."""
    other = [{k: v * (1 + 1e-10) if isinstance(v, float) else v for k, v in row.items()} for row in DDIM]
    assert not marks(DDIM, other)


def test_an_error_below_ten_tolerances_is_no_number():
    base = [{**COMPUTED[0], "flow_error_x_T": 1e-13, "flow_tol": 1e-12}]
    assert not marks(base, with_value(base, flow_error_x_T=9e-12))
    assert marks(base, with_value(base, flow_error_x_T=1e-9)) == {("gradient", "+"): 1}


def test_a_gradient_nearer_to_its_reference_is_better_with_the_norm_that_comes_with_it():
    row = next(row for row in COMPUTED if row["estimator"] == "adjoint-deis")
    nearer = {"flow_error_x_T": 0.5 * row["flow_error_x_T"], "grad_norm_x_T": 1.1 * row["grad_norm_x_T"]}
    assert marks([row], [{**row, **nearer}]) == {("gradient", "-"): 2}
    farther = {"sampler_error_x_T": 1.1 * row["sampler_error_x_T"]}
    assert marks([row], [{**row, **nearer, **farther}]) == {("gradient", "-"): 1, ("gradient", "+"): 2}


def test_float32_may_differ_by_64_of_its_units():
    row = {**COMPUTED[0], "dtype": "float32"}
    assert not marks([row], [{**row, "grad_norm_x_T": row["grad_norm_x_T"] * (1 + 60 * 2**-23)}])
    assert marks([row], [{**row, "grad_norm_x_T": row["grad_norm_x_T"] * (1 + 70 * 2**-23)}])


def test_a_target_that_has_no_gradient_now_is_newly_failing():
    lost = {k: v for k, v in COMPUTED[0].items() if not k.endswith("_condition")}
    found = compare([COMPUTED[0]], [lost])
    assert [f.column for f in found.findings if f.metric == "gradient"] == ["grad_norm_condition"]
    assert found.exit_code == 1 and found.marked("!")
    assert marks([lost], [COMPUTED[0]]) == {("gradient", "*"): 1}


def test_infinite_and_unknown_errors_equal_themselves_only():
    row = {**COMPUTED[0], "flow_error_x_T": math.inf, "flow_norm_ratio_x_T": math.nan}
    assert not marks([row], [row])
    assert marks([COMPUTED[0]], [row]) == {("gradient", "+"): 2}


# Monte Carlo gradients


def test_other_draws_within_their_noise_are_suspicious_only():
    redrawn = [{**row, "bias_x_T": row["bias_x_T"] + row["std_error_x_T"], "grad_norm_x_T": 1.01 * row["grad_norm_x_T"]}
               for row in DRAWN]  # fmt: skip
    assert marks(DRAWN, redrawn) == {("gradient", "~"): len(DRAWN)}


def test_a_bias_of_more_than_four_standard_errors_is_worse():
    def moved(deviations):
        shift = deviations * math.sqrt(2) * DRAWN[0]["std_error_parameters"]
        return with_value(DRAWN, bias_parameters=math.copysign(abs(DRAWN[0]["bias_parameters"]) + shift, 1))

    base = with_value(DRAWN, bias_parameters=abs(DRAWN[0]["bias_parameters"]))
    assert not marks(base, moved(3.9)) and marks(base, moved(4.1)) == {("gradient", "+"): 1}
    assert marks(moved(4.1), base) == {("gradient", "-"): 1}


def test_an_error_across_the_gradient_is_seen_though_its_signed_bias_is_none():
    n, row = 20000, DRAWN[0]
    noise = row["expected_norm_ratio_condition"] / row["snr_condition"] / math.sqrt(n)
    assert marks([row], [{**row, "bias_norm_condition": row["bias_norm_condition"] + 6 * noise}])["gradient", "+"] == 1


@pytest.mark.parametrize(("growth", "mark"), [(4.0, "+"), (2.0, "+"), (1.7, "~"), (0.25, "-")])
def test_an_inflated_variance_is_worse_a_deflated_one_better(growth, mark):
    inflated = with_value(DRAWN, snr_x_T=DRAWN[0]["snr_x_T"] / math.sqrt(growth))
    assert marks(DRAWN, inflated) == {("gradient", mark): 1}


def test_a_wrong_sign_of_a_drawn_target_is_worse():
    row = DRAWN[0]
    flipped = {"bias_condition": -2 - row["bias_condition"], "bias_norm_condition": 2.0}
    assert marks([row], [{**row, **flipped}]) == {("gradient", "+"): 2}


def test_draws_without_noise_are_compared_like_computed_gradients():
    exact = {k: v for k, v in DRAWN[0].items() if not k.startswith(("snr", "bias", "std"))}
    assert marks([exact], [{**exact, "grad_norm_x_T": exact["grad_norm_x_T"] * 1.001}]) == {("gradient", "+"): 1}


# statuses and cells


@pytest.mark.parametrize("status", ["timeout", "oom", "crash", "diverged", "error", "lost", "skip"])
def test_a_cell_that_ended_well_and_now_does_not_is_newly_failing(status):
    failing = with_value(DDIM, status=status, reason="because")
    (finding,) = compare(DDIM, failing).marked("!")
    assert (finding.base, finding.new, finding.note) == ("ok", status, "because")
    assert compare(failing, DDIM).marked("*") and compare(failing, DDIM).exit_code == 0


def test_one_failed_process_of_five_is_newly_failing_and_the_others_are_compared():
    new = timed(DDIM, 2)
    new[0] = {**new[0], "status": "crash"}
    found = compare(timed(DDIM, 1), new, metrics=["status", "memory"])
    assert [f.mark for f in found.findings] == ["!"] and found.compared["memory"] == len(DDIM)


def test_missing_and_new_cells_are_listed():
    found = compare(DDIM[:3], DDIM[1:5], metrics=["memory"])
    assert [row["cell_id"] for row in found.missing] == [DDIM[0]["cell_id"]]
    assert [row["cell_id"] for row in found.added] == [row["cell_id"] for row in DDIM[3:5]]
    assert found.exit_code == 0


def test_no_cell_in_common_is_nothing_comparable():
    assert compare(DDIM[:3], DDIM[3:]).exit_code == 4


def test_cells_that_fail_on_both_sides_are_nothing_comparable():
    failed = [{**row, "status": "error"} for row in DDIM]
    assert compare(failed, failed).exit_code == 4


def test_times_of_too_few_processes_alone_are_nothing_comparable():
    assert compare(timed(DDIM, 1, processes=3), timed(DDIM, 2, processes=3), metrics=["time"]).exit_code == 4


def test_code_that_changed_is_what_is_compared():
    base = [{**row, "fingerprint": "a" * 16} for row in timed(DDIM, 1)]
    new = [{**row, "fingerprint": "b" * 16} for row in timed(DDIM, 2)]
    assert compare(base, new).compared["time"] == len(DDIM)


def test_rows_of_two_machines_are_compared_on_the_one_that_both_have():
    strange = [{**row, "replicate": row["replicate"] + 5, "machine_class": "B"} for row in timed(DDIM, 3, slower=9)]
    assert not marks(timed(DDIM, 1), [*timed(DDIM, 2), *strange])
    assert PLACE["machine_class"] != "B"


@pytest.mark.parametrize("factor", [0.9, 11, float("nan")])
def test_a_factor_that_makes_no_sense_is_refused(factor):
    with pytest.raises(ValueError, match="factor must"):
        compare(DDIM, DDIM, factor)


def test_a_slowdown_of_a_fifth_in_15_of_300_rows_is_found_and_no_other():
    """The rule of the simulation, through rows: ten checks."""
    import random

    rng = random.Random(1)
    names = [{"cell_id": f"{i:03}", "status": "ok", **PLACE, "calibration_s": 1.0} for i in range(300)]

    def side(slower):
        return [
            {**name, "replicate": k, "time_s": math.exp(rng.gauss(0, 0.04)) * (slower if i < 15 else 1.0)}
            for i, name in enumerate(names)
            for k in range(5)
        ]

    called = [f.cell["cell_id"] for _ in range(10) for f in compare(side(1), side(1.2), metrics=["time"]).marked("+")]
    assert sum(cell < "015" for cell in called) >= 0.95 * 150 and sum(cell >= "015" for cell in called) < 10 * 0.1 + 1
