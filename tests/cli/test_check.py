"""`gradbench check` as a user sees it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import gradbench, inside

BROKEN = "gradbench.testing.broken:"


def test_an_estimator_that_conforms_is_exit_code_0_with_a_line_a_check():
    done = gradbench("check", "revolve", "-k", "exact", "-k", "counts", "-k", "unbiased")
    assert done.returncode == 0, done.stderr
    head, *lines, tail = done.stdout.splitlines()
    assert head == "revolve: declares exact true, memory constant"
    assert [line.split()[:2] for line in lines] == [["exact", "ok"], ["counts", "ok"], ["unbiased", "skipped"]]
    assert lines[1].endswith("6 + 6 evaluations and 6 VJPs") and tail == "2 ok, 0 failed, 1 skipped"


def test_one_that_does_not_is_exit_code_1_with_the_number():
    done = gradbench("check", BROKEN + "ScaledPullback", "-k", "exact")
    assert done.returncode == 1 and "1.0e-03 from backprop" in done.stdout
    assert done.stdout.endswith("0 ok, 1 failed, 0 skipped\n")


def test_the_table_fits_100_columns():
    done = gradbench("check", BROKEN + "NoReason", BROKEN + "WrongShape", BROKEN + "MovedCondition", "-k", "reason")
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_json_has_every_verdict():
    done = gradbench("check", "checkpoint", BROKEN + "Miscount", "-k", "counts", "--json")
    first, second = json.loads(done.stdout)
    assert (first["estimator"], first["check"], first["status"]) == ("checkpoint", "counts", "ok")
    assert second["status"] == "failed" and "5 + 0" in second["said"] and done.returncode == 1


def test_a_list_in_a_selector_is_one_subject_a_member():
    done = gradbench("check", "adjoint-deis[order=[1,2]]", "-k", "order", "--json")
    orders = [float(verdict["said"].split()[1]) for verdict in json.loads(done.stdout)]
    assert orders == pytest.approx([1, 2], abs=0.1) and done.returncode == 0


WRONG = [
    (("nosuch:X",), "'nosuch:X' cannot be loaded: there is no module 'nosuch' on the path"),
    ((BROKEN + "Nothing",), "cannot be loaded: module 'gradbench.testing.broken' has no attribute 'Nothing'"),
    (("chekpoint",), "unknown estimator 'chekpoint'; did you mean 'checkpoint'?"),
    (("checkpoint", "-k", "exakt"), "unknown check 'exakt'; did you mean 'exact'?"),
    (("checkpoint", "-k", "os:getcwd"), "unknown check 'os:getcwd'"),
    (("revolve[snapshots=0]",), "snapshots must be an integer >= 1, got 0"),
    (("gradbench.testing.verdict:Verdict",), "cannot be made without arguments"),
    (("gradbench.testing.subject:problem_of",), "makes Problem, which is not a gradbench.GradientEstimator"),
    ((), "Missing argument"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, tuple) else None)
def test_wrong_usage_is_one_clear_line_and_exit_code_2(words, message):
    done = inside("check", *words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def f(", "cannot be loaded: SyntaxError"),
        ("raise RuntimeError('not today')", "cannot be loaded: RuntimeError: not today"),
        (
            "class Mine(G):\n    traits = {'exakt': True}",
            "unknown option of traits of mine:Mine 'exakt'; did you mean 'exact'?",
        ),
        (
            "class Mine(G):\n    traits = {'memory': 'small'}",
            "unknown memory 'small'; allowed: None, constant, log, sqrt, linear",
        ),
        ("class Mine(G):\n    traits = {'order': 0}", "order must be an integer >= 1, got 0"),
    ],
)
def test_a_module_or_a_declaration_that_cannot_be_is_one_line(tmp_path, body, message):
    base = "import gradbench\n\n\nclass G(gradbench.GradientEstimator):\n    def __call__(self, problem): ...\n\n\n"
    (tmp_path / "mine.py").write_text(base + body)
    done = gradbench("check", "mine:Mine", path=tmp_path)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_the_script_finds_a_module_in_the_current_folder(tmp_path):
    (tmp_path / "mine.py").write_text("Number = 3\n")
    script = Path(sys.executable).with_name("gradbench")
    done = subprocess.run([script, "check", "mine:Number"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "mine:Number" in done.stderr and "no module" not in done.stderr
