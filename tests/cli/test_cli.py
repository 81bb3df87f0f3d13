"""The command line as a user sees it."""

import json
import os

import pytest

from tests.command_line import gradbench, inside


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
    assert "no method of this sampler's kind" in frame.loc["torchdiffeq-adjoint", "reason"]


def test_a_second_run_runs_nothing_again(finished):
    out, _ = finished
    words = ("-c", "gaussian", "-e", "checkpoint", "--sampler", "ab2", "--steps", 5, "--out", out)
    assert "0 of 0 cells: none to run; 1 had rows already" in gradbench("run", *words).stderr


def test_the_report_can_be_built_again(finished):
    out, _ = finished
    (out / "report.html").unlink()
    assert inside("report", out).returncode == 0 and (out / "report.html").exists()


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
    (("run", "-c", "gaussian", "--seeds", "3-1"), "--seeds must be a range like 0-4"),
    (("run", "-c", "gaussian", "--seeds", "0-99999999"), "at most 1,000,000 seeds"),
    (("run", "-c", "gaussian[condition=3]"), "unknown option of case gaussian in a selector 'condition'"),
    (("run", "-c", "gaussian[schedule=5]"), "schedule must be a name of"),
    (("run", "-c", "gaussian[dim=[]]"), "malformed selector"),
    (("run", "-c", "digits[label=true]"), "unknown label True"),
    (("run", "-c", "gaussian", "--device", "cpu:7"), "unknown device 'cpu:7'; allowed: cpu, cuda, cuda:N"),
    (("run", "-c", "gaussian", "--threads", "100000"), "threads must lie in [1, 256]"),
    (("run", "-c", "gaussian", "--memory", "much"), "--memory must be a size like 4GiB"),
    (
        ("run", "-c", "gaussian", "--memory", "4"),
        "--memory 4 is 4 bytes, less than 1 MiB: give a unit, as in 4GB",
    ),
    (("run", "-e", "nosuchmodule:Nothing", "-c", "gaussian"), "'nosuchmodule:Nothing' cannot be loaded"),
    (("reference",), "reference needs --verify, --write or both"),
    (("status", "/nowhere"), "no rows and no plan in '/nowhere'"),
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
    done = inside(*words, *(("--out", tmp_path / "out") if words[0] == "run" else ()))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_wrong_usage_leaves_earlier_rows_alone(finished):
    out, _ = finished
    before = {file: file.read_bytes() for file in out.glob("*.*")}
    assert inside("run", "-c", "gaussian", "-e", "nothing", "--out", out).returncode == 2
    assert {file: file.read_bytes() for file in out.glob("*.*")} == before


def test_an_out_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("kept")
    done = inside("run", "-c", "gaussian", "--out", tmp_path / "file")
    assert done.returncode == 2 and "cannot be written to" in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_out_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    done = gradbench("run", "-c", "gaussian", "--out", tmp_path / "out")
    assert done.returncode == 2 and "cannot be written to" in done.stderr


def test_tampered_weights_are_refused_before_anything_runs(tmp_path):
    import shutil

    from gradbench.problems.folders import shipped_folder

    copy = tmp_path / "cases" / "twin"
    shutil.copytree(shipped_folder() / "digits", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "case.py").write_text((copy / "case.py").read_text().replace('name="digits"', 'name="twin"'))
    weights = copy / "scorer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    words = ("run", "-c", "twin", "-e", "backprop", "--cases", tmp_path / "cases", "--out", tmp_path / "out")
    tampered = gradbench(*words)
    weights.unlink()
    missing = gradbench(*words)
    for done, message in ((tampered, "sha256"), (missing, "cannot be read")):
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_show_tells_options_and_source():
    shown = inside("show", "adjoint-dpm").stdout
    assert "arXiv:2307.10711" in shown and "rule=euler" in shown


def test_env_tells_what_a_row_would_record():
    assert {"torch", "machine_class", "fingerprint"} <= set(json.loads(inside("env", "--json").stdout))


def test_the_version_is_the_packages():
    import gradbench as package

    assert package.__version__ in inside("--version").stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blocks: 5", "blocks of suite"),
        ("blocks: [{cases: [gaussian]}]", "lacks samplers, estimators"),
        ("blocks: [{cases: [gaussian], samplers: [ddim], estimators: [backprop], steps: 5}]", "steps of block 1"),
        ("just words", "must be a mapping of"),
        ("blocks: [", "is not valid YAML"),
    ],
)
def test_a_broken_suite_is_one_line(tmp_path, text, message):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "mine.yaml").write_text(text)
    done = gradbench("run", "--cases", tmp_path, "--suite", "mine", "--dry-run")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(", "cannot be imported: SyntaxError"),
        ("import nosuchmodule", "cannot be imported: ModuleNotFoundError"),
        ("NAME = 'mine'", "lacks SUMMARY"),
    ],
)
def test_a_broken_case_is_one_line(tmp_path, text, message):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "case.py").write_text(text)
    done = gradbench("list", "cases", "--cases", tmp_path)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_a_case_whose_name_is_taken_is_refused(tmp_path):
    import shutil

    from gradbench.problems.folders import shipped_folder

    shutil.copytree(shipped_folder() / "gaussian", tmp_path / "other")
    done = gradbench("run", "--cases", tmp_path, "-c", "gaussian", "--dry-run")
    assert done.returncode == 2 and "has the name 'gaussian' of" in done.stderr


def test_lines_that_are_no_rows_are_counted_and_passed_over(finished):
    out, _ = finished
    shard = next(out.glob("rows-*.jsonl"))
    before = shard.read_bytes()
    shard.write_bytes(b'{"a": 1}\n' + before)
    done = gradbench("report", out)
    shard.write_bytes(before)
    assert done.returncode == 0 and "1 lines are not rows and are ignored" in done.stderr


def test_no_arguments_show_the_help():
    done = gradbench()
    assert done.returncode == 0 and "Usage: gradbench" in done.stdout


def test_ones_own_estimator_runs_by_module_and_name(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from gradbench import Differentiable\n\n\nclass Mine(Differentiable):\n"
        "    def sample(self, rollout, x_T, wrt):\n        return rollout.sample(x_T)\n"
    )
    words = ("run", "-c", "gaussian", "-e", "mine:Mine", "--steps", 3, "--out", tmp_path / "out", "--json")
    done = gradbench(*words, path=tmp_path)
    (row,) = json.loads(done.stdout)
    assert row["status"] == "ok" and row["sampler_error_x_T"] == 0
