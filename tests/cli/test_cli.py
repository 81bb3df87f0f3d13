"""The command line as a person meets it."""

import json
import os
import subprocess
import sys

import pytest


def gradbench(*words, cwd=None, env=None):
    command = [sys.executable, "-m", "gradbench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run from another folder, through the real command line and real worker processes."""
    folder = tmp_path_factory.mktemp("run")
    words = ("-c", "gaussian", "-e", "checkpoint", "-e", "torchdiffeq-adjoint", "--sampler", "ab2", "--steps", 5)
    return folder / "out", gradbench("run", *words, "--out", folder / "out", cwd=folder)


def test_a_run_ends_well_with_rows_table_and_report(finished):
    out, done = finished
    assert done.returncode == 0, done.stderr
    assert (out / "rows.parquet").exists() and (out / "report.html").stat().st_size > 100_000
    assert "checkpoint" in done.stdout and f"report: {out / 'report.html'}" in done.stdout


def test_a_skip_is_a_row_with_its_reason(finished):
    import pandas as pd

    frame = pd.read_parquet(finished[0] / "rows.parquet").set_index("estimator")
    assert frame.loc["torchdiffeq-adjoint", "status"] == "skip"
    assert "multistep" in frame.loc["torchdiffeq-adjoint", "reason"]


def test_a_second_run_runs_nothing_again(finished):
    out, _ = finished
    words = ("-c", "gaussian", "-e", "checkpoint", "--sampler", "ab2", "--steps", 5, "--out", out)
    assert "0 of 0 cells: none to run; 1 had rows already" in gradbench("run", *words).stderr


def test_the_report_can_be_built_again(finished):
    out, _ = finished
    (out / "report.html").unlink()
    assert gradbench("report", out).returncode == 0 and (out / "report.html").exists()


def test_json_rows_go_to_stdout_alone(tmp_path):
    done = gradbench("run", "-c", "gaussian", "-e", "backprop", "--steps", 3, "--json", "--out", tmp_path / "o")
    (row,) = json.loads(done.stdout)
    assert row["status"] == "ok" and row["nfe_forward"] == 3


WRONG = [
    (("run", "-c", "gausian"), "unknown case 'gausian'; did you mean 'gaussian'?"),
    (("run", "-e", "checkpiont"), "unknown estimator 'checkpiont'; did you mean 'checkpoint'?"),
    (("run", "--sampler", "ddimm"), "unknown sampler 'ddimm'; did you mean 'ddim'?"),
    (("run", "--suite", "smok"), "unknown suite 'smok'; did you mean 'smoke'?"),
    (("run", "-e", "adjoint-dpm[rule=rk4"), "malformed selector 'adjoint-dpm[rule=rk4'"),
    (("run", "-c", "gaussian", "--steps", "0"), "steps must be an integer >= 1, got 0"),
    (("run", "-c", "gaussian", "--steps", "-5"), "steps must be an integer >= 1, got -5"),
    (("run", "-c", "gaussian", "--steps", "many"), "'many' is not a valid integer"),
    (("run", "-c", "gaussian[dim=0]"), "dim must be an integer >= 1, got 0"),
    (("run", "-c", "gaussian", "--device", "cuda"), "device 'cuda' is not available"),
    (("run", "-c", "gaussian", "--target", "w"), "unknown target 'w'"),
    (("run", "-c", "gaussian", "--seeds", "a"), "--seeds must be a range like 0-4"),
    (("run", "-c", "gaussian", "--timeout", "soon"), "--timeout must be a time"),
    (("run", "-c", "gaussian", "--jobs", "0"), "jobs must be an integer >= 1, got 0"),
    (("run", "-c", "gaussian", "--engine", "magic"), "unknown engine 'magic'"),
    (("run", "-c", "gaussian", "--rerun", "some"), "unknown --rerun 'some'"),
    (("run", "--cases", "/nowhere"), "--cases must name a folder"),
    (("run", "--nonsense"), "No such option"),
    (("list", "things"), "unknown kind 'things'"),
    (("show", "checkpiont"), "did you mean 'checkpoint'?"),
    (("nonsense",), "No such command 'nonsense'"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, tuple) else None)
def test_wrong_usage_is_one_clear_line_and_exit_code_2(words, message, tmp_path):
    import torch

    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = gradbench(*words, *(("--out", tmp_path / "out") if words[0] == "run" else ()))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_wrong_usage_leaves_earlier_rows_alone(finished):
    out, _ = finished
    before = {file: file.read_bytes() for file in out.glob("*.*")}
    assert gradbench("run", "-c", "gaussian", "-e", "nothing", "--out", out).returncode == 2
    assert {file: file.read_bytes() for file in out.glob("*.*")} == before


def test_an_out_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("kept")
    done = gradbench("run", "-c", "gaussian", "--out", tmp_path / "file")
    assert done.returncode == 2 and "cannot be written to" in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_out_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    done = gradbench("run", "-c", "gaussian", "--out", tmp_path / "out")
    assert done.returncode == 2 and "cannot be written to" in done.stderr


def test_tampered_weights_are_refused_before_anything_runs(tmp_path):
    import shutil

    from gradbench.bench.case import shipped_folder

    copy = tmp_path / "cases" / "twin"
    shutil.copytree(shipped_folder() / "digits", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "case.py").write_text((copy / "case.py").read_text().replace('NAME = "digits"', 'NAME = "twin"'))
    weights = copy / "scorer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    words = ("run", "-c", "twin", "-e", "backprop", "--cases", tmp_path / "cases", "--out", tmp_path / "out")
    tampered = gradbench(*words)
    weights.unlink()
    missing = gradbench(*words)
    for done, message in ((tampered, "sha256"), (missing, "cannot be read")):
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_show_tells_options_and_source():
    shown = gradbench("show", "adjoint-dpm").stdout
    assert "arXiv:2307.10711" in shown and "rule=euler" in shown


def test_env_tells_what_a_row_would_record():
    assert {"torch", "machine_class", "fingerprint"} <= set(json.loads(gradbench("env", "--json").stdout))


def test_the_version_is_the_packages():
    import gradbench as package

    assert package.__version__ in gradbench("--version").stdout
