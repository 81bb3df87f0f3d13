"""The page and the sentence about GPU measurements: from rows made by hand, which no page shows."""

import json

import pytest

from gradbench.bench.plan import make_plan
from gradbench.bench.suite import load_suite
from studies.pages.__main__ import FOLDER, PREDICTED_GPU, ROOT, RUNS, written
from studies.pages.cards import PATTERN, cards_of

PAGE, README = ROOT / "docs" / "findings" / "gpu.md", ROOT / "README.md"
GB = 10**9
MEASURED = {
    "status": "ok",
    "replicate": 0,
    "gpu": "Card of the tests",
    **{"gpu_driver": "570.1", "torch": "2.9.1+cu128", "gradbench": "0.1.0", "gpu_clock_mhz": 345.0, "gpu_processes": 0},
    **{"started_at": "2026-01-10T12:00:00+00:00", "sampler_error_parameters": 2e-3, "machine_class": "one"},
    **{"nfe_forward": 50, "nfe_backward": 50, "vjps": 50, "evaluation_s": 0.02, "vjp_s": 0.04, "time_s": 4.1},
    **{
        "peak_bytes": 2 * GB,
        "baseline_bytes": 2 * GB,
        "predicted_peak_bytes": 1.95 * GB,
        "wall_s": 20,
        "passes_s": 17.5,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows of the first cells of the suite: one as predicted, one out of memory, one with 10 % more bytes."""
    first, second, third = [item.cell for item in make_plan(load_suite("gpu").blocks, 1)][:3]
    failed = {**MEASURED, "status": "oom", "peak_bytes": None, "time_s": None, "predicted_peak_bytes": 80 * GB}
    sizes = {"peak_bytes": 2.2 * GB, "predicted_peak_bytes": 2 * GB, "reserved_bytes": 4.5 * GB}
    apart = {**MEASURED, **sizes, "requested_bytes": 2.15 * GB}
    out = tmp_path_factory.mktemp("2026-01-10-gpu-card")
    lines = [json.dumps({**first, **MEASURED}), json.dumps({**second, **failed}), json.dumps({**third, **apart})]
    (out / "rows-a-1.jsonl").write_text("".join(line + "\n" for line in lines))
    return out


@pytest.fixture(scope="module")
def pages(folder):
    return written(RUNS, on_cards=[folder])


def test_a_measured_cell_is_a_line_with_its_prediction_beside_it(pages):
    line = next(line for line in pages[PAGE].splitlines() if "`checkpoint`" in line)
    assert "| 4.1 | 1.02 | 2.0 | 1.9 | +3% | 4.0 | 0.002 | 2.50 |" in line


def test_a_cell_that_ran_out_of_memory_says_what_it_would_need(pages):
    line = next(line for line in pages[PAGE].splitlines() if "`backprop`" in line)
    assert "| oom | | | 80.0 |" in line


def parts(pages):
    return pages[PAGE].partition("| difference | unseen | rounding | idle |")[2]


def test_bytes_that_were_not_predicted_are_split_by_what_they_are(pages):
    (line,) = [line for line in parts(pages).splitlines() if "`revolve`" in line]
    assert line.endswith("| `revolve` | +10% | +143.1 | +47.7 | +286.1 |")


def test_bytes_as_predicted_are_not_split(pages):
    assert "`checkpoint`" not in parts(pages).partition("\n\n")[0]


def test_a_card_is_told_with_driver_clocks_and_who_shared_it(pages):
    assert "## Card of the tests" in pages[PAGE]
    assert "Driver 570.1, torch 2.9.1+cu128" in pages[PAGE]
    assert "345 MHz at idle, no other process on the card" in pages[PAGE]


def test_readme_says_measured_where_it_was_and_predicted_where_it_was_not(pages):
    told = " ".join(pages[README].split())
    assert "4.0 GB with its weights (4.1 s per gradient, measured on Card of the tests)" in told
    assert "GB with its weights (predicted)" in told
    assert "| 1,907 MiB, 4.1 s (Card of the tests) |" in told


@pytest.mark.skipif(any(FOLDER.glob(PATTERN)), reason="rows of a GPU are published")
def test_without_rows_the_page_says_predicted_and_no_time():
    page = written(RUNS, on_cards=[])[PAGE]
    assert "No GPU rows are published yet" in page and "time, s" not in page


def test_rows_of_a_cpu_are_on_no_card():
    assert cards_of(RUNS) == []


def test_every_cell_of_stable_diffusion_in_the_suite_is_predicted():
    told = {row["cell_id"] for row in json.loads(PREDICTED_GPU.read_text())}
    assert {item.cell["cell_id"] for item in make_plan(load_suite("gpu").blocks, 1)} <= told
