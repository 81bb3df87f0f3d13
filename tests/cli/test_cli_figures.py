"""The verb `figures`, and --json of the verbs that had none."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gradbench.bench.store import Store
from gradbench.cli import cli
from tests.rows import row

PUBLISHED = str(Path(__file__).parents[2] / "results/published/2026-11-21-ci-cpu/rows.parquet")


def invoke(*words):
    return CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False)


@pytest.fixture
def folder(tmp_path):
    store = Store(tmp_path / "run")
    for place, n in enumerate((5, 10)):
        told = {"schema": 2, "cell_id": str(place), "started_at": "2026-01-01", "machine_id": "m"}
        store.append(row("backprop", n, 1.0 / n, **told), "m")
    return tmp_path / "run"


def test_figures_of_a_run_go_beside_its_rows(folder):
    done = invoke("figures", folder, "--only", "convergence", "--format", "svg")
    assert done.return_value == 0
    stem = folder / "figures" / "convergence-gaussian"
    assert done.output == f"convergence of gaussian, ddim, float64: {stem}.svg, .csv\n"
    assert sorted(file.name for file in stem.parent.iterdir()) == [
        "convergence-gaussian.csv",
        "convergence-gaussian.svg",
    ]


def test_a_figure_without_data_is_one_line_and_exit_code_4(folder):
    done = invoke("figures", folder, "--only", "dtype")
    assert done.return_value == 4
    assert done.output == "dtype: not drawn: no case was run in two dtypes with the same steps\n"


def test_figures_tell_their_files_as_json(folder, tmp_path):
    words = (
        "figures",
        folder,
        "--only",
        "memory",
        "--only",
        "dtype",
        "--format",
        "png",
        "--out",
        tmp_path / "f",
        "--json",
    )
    first, second = json.loads(invoke(*words).output)
    assert [file.split(".")[-1] for file in first["files"]] == ["png", "csv"] and first["reason"] == ""
    assert (second["figure"], second["files"]) == ("dtype", [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--only", "convergenc"), "unknown figure 'convergenc'; did you mean 'convergence'?"),
        (("--format", "gif"), "unknown --format 'gif'"),
        (("--reference", "flo"), "unknown reference 'flo'; did you mean 'flow'?"),
        (("--target", "y"), "unknown target 'y'"),
        (("--max-error", "-1"), "--max-error must be > 0, got -1.0"),
        (("-c", "mixture"), "unknown case of these rows 'mixture'"),
        (("-c", "gaussian[dim=77]"), "no row of 'gaussian[dim=77]' among these rows"),
        (("-e", "revolve[snapshots=3]"), "no row of 'revolve[snapshots=3]' among these rows"),
        (("-e", "revolv"), "unknown estimator 'revolv'; did you mean 'revolve'?"),
    ],
)
def test_wrong_options_of_figures_are_told(folder, words, message):
    assert message in str(invoke("figures", folder, *words).exception)


def test_published_rows_are_drawn(tmp_path):
    done = invoke("figures", PUBLISHED, "--only", "coverage", "--format", "png", "--out", tmp_path)
    assert done.return_value == 0 and (tmp_path / "coverage.png").stat().st_size > 10_000


def test_only_the_estimators_asked_for_are_drawn(tmp_path):
    words = (
        "-c",
        "gaussian",
        "-e",
        "backprop",
        "-e",
        "adjoint-dpm[rule=[euler,rk4]]",
        "-e",
        "backprop",
        "--format",
        "svg",
    )
    invoke("figures", PUBLISHED, "--only", "convergence", *words, "--out", tmp_path)
    with open(tmp_path / "convergence-gaussian.csv") as file:
        lines = list(csv.DictReader(file))
    shown = {(row["estimator"], row["options"]) for row in lines}
    assert {row["rows"] for row in lines} == {"1"}  # each once, though one was asked for twice
    assert len(shown) == 3 and {name.partition("[")[0] for name, _ in shown} == {"backprop", "adjoint-dpm"}


def test_figures_import_no_torch(tmp_path):
    words = ["gradbench", "figures", PUBLISHED, "-c", "digits", "--only", "memory", "--format", "svg"]
    words += ["--out", str(tmp_path)]
    code = (
        f"import sys; sys.argv = {words!r}\n"
        "from gradbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_show_tells_the_same_as_json():
    found = json.loads(invoke("show", "adjoint-deis", "--json").output)
    assert found["kind"] == "estimator" and found["options"] == {"order": 1, "trajectory": "stored", "steps": None}
    assert json.loads(invoke("show", "smoke", "--json").output)["kind"] == "suite"
    assert json.loads(invoke("show", "gaussian", "--json").output)["parameters"]["dim"] == 6


def test_report_and_merge_tell_their_files_as_json(folder, tmp_path):
    found = json.loads(invoke("report", folder, "--json").output)
    assert found == {
        "folder": str(folder),
        "rows": 2,
        "parquet": f"{folder}/rows.parquet",
        "report": f"{folder}/report.html",
    }
    merged = json.loads(invoke("merge", folder, "-o", tmp_path / "all", "--json").output)
    assert (merged["rows"], merged["machines"]) == (2, ["m"])
