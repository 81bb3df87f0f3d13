"""Three wrong things for each verb: one line on stderr, exit code 2, nothing on stdout and no traceback."""

import sys
from dataclasses import replace

import pytest

from gradbench import cli
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.exits import Exit
from gradbench.problems.folders import spec_of_case
from tests.command_line import inside

ROWS = "results/published/2026-11-21-ci-cpu"
WRONG = {
    "run": [
        "-c gausian",
        "-c gaussian[dim=0]",
        "--sampler rk4[chart=nose]",
        "-c gaussian --dtype half",
        "--steps x",
        "--out README.md/x",
    ],
    "predict": ["", "-c nosuch", "-c gaussian -e adjoint-deis[order=3]", "-c gaussian --weights /x", "--nosuch"],
    "advise": ["-c gaussian --device tpu", "--memory 24GB", "-c nosuch --memory 24GB", "-c gaussian --memory much"],
    "list": ["things", "cases samplers", "--cases /nowhere"],
    "show": ["", "nosuch", "adjoint-deis[order=3]", "rk4[", "mine:X", "gaussian[dim=-1]", "style[k=1]"],
    "env": ["now", "--nosuch", "--json extra"],
    "status": ["/nowhere", "one two", "--nosuch"],
    "merge": ["", "/nowhere -o /tmp/x", "gradbench", "gradbench -o {out}", f"{ROWS} -o README.md/x"],
    "compare": [
        *("", "/nowhere /nowhere", f"{ROWS} {ROWS} --metric speed", f"{ROWS} {ROWS} --factor 0.5", "--ab HEAD nosuch"),
        *(
            f"{ROWS} {ROWS} --suite ci",
            f"{ROWS} {ROWS} --format pdf",
            "README.md README.md",
            "--ab HEAD HEAD --seeds x",
            f"{ROWS} {ROWS} --out README.md/verdict",
        ),
    ],
    "reference": ["", "--verify nosuch", "gaussian", "--verify --cases /nowhere"],
    "check": ["", "nosuch", "checkpoint -k exakt", "nosuch:X", "revolve[snapshots=0]"],
    "report": ["", "/nowhere", "gradbench", "README.md", f"{ROWS} -o README.md/x"],
    "figures": [
        "/nowhere",
        f"{ROWS} --only pie",
        f"{ROWS} --format gif",
        f"{ROWS} -c nosuch",
        f"{ROWS} --max-error -1",
        f"{ROWS} --out README.md/x",
    ],
    "completion": ["", "tcsh", "bash zsh"],
}
LINES = [(verb, words) for verb, several in WRONG.items() for words in several]


@pytest.mark.parametrize(("verb", "words"), LINES, ids=[f"{verb} {words}" for verb, words in LINES])
def test_wrong_usage_is_one_line_and_exit_code_2(verb, words, monkeypatch, capfd, tmp_path):
    from tests.bench.helpers import ROOT

    monkeypatch.chdir(ROOT)
    where = ["--out", str(tmp_path / "out")] if verb in ("run", "figures") and "--out" not in words else []
    monkeypatch.setattr(sys, "argv", ["gradbench", verb, *words.format(out=tmp_path / "out").split(), *where])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capfd.readouterr()
    assert end.value.code == 2
    assert said.out == "" and said.err.startswith("gradbench: ") and said.err.count("\n") == 1, said.err
    assert len(said.err) > 20 and "Traceback" not in said.err


def test_every_verb_is_tried_in_three_ways_at_least():
    assert set(WRONG) == set(cli.cli.commands) and all(len(several) >= 3 for several in WRONG.values())


def test_a_bug_is_no_wrong_usage_and_says_where_to_report_it(monkeypatch):
    def broken(kind):
        raise ValueError("no one's fault but ours")

    monkeypatch.setattr("gradbench.commands.list.entries", broken)
    done = inside("list")
    assert done.returncode == Exit.BUG and "Traceback" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "ValueError: no one's fault but ours" in last and last.endswith(cli.ISSUES)


def test_an_option_value_that_a_users_own_check_refuses_is_wrong_usage(monkeypatch):
    def check(options):
        raise ValueError("order must be odd")

    theirs = replace(ESTIMATORS["checkpoint"], factory="mine:Checkpoint", check=check)
    monkeypatch.setitem(ESTIMATORS, "checkpoint", theirs)
    done = inside("show", "checkpoint")
    assert done.returncode == Exit.USAGE and done.stderr == "gradbench: order must be odd\n"


def test_a_bug_in_the_check_of_an_entry_of_gradbench_says_where_to_report_it(monkeypatch):
    buggy = replace(ESTIMATORS["checkpoint"], check=lambda options: int("x"))
    monkeypatch.setitem(ESTIMATORS, "checkpoint", buggy)
    done = inside("run", "-c", "gaussian", "-e", "checkpoint", "--dry-run")
    assert done.returncode == Exit.BUG and done.stderr.splitlines()[-1].endswith(cli.ISSUES)


def test_a_bug_in_the_check_of_a_shipped_case_says_where_to_report_it(monkeypatch):
    buggy = replace(spec_of_case("gaussian"), check=lambda params: int("x"))
    monkeypatch.setattr("gradbench.problems.case.spec_of_case", lambda name: buggy)
    done = inside("run", "-c", "gaussian", "-e", "checkpoint", "--dry-run")
    assert done.returncode == Exit.BUG and done.stderr.splitlines()[-1].endswith(cli.ISSUES)


def test_a_file_that_the_system_refuses_is_no_wrong_usage(monkeypatch):
    def full(kind):
        raise OSError(28, "No space left on device", "rows.parquet")

    monkeypatch.setattr("gradbench.commands.list.entries", full)
    done = inside("list")
    assert done.returncode == Exit.SYSTEM and done.stderr == "gradbench: rows.parquet: No space left on device\n"
