"""`gradbench compare` as a user and a build server see it."""

import json
import sys

import pytest

from gradbench.cli import main
from tests.runs import BASELINE, baseline, timed, with_value

ROWS = baseline("gaussian", "ddim", steps=20)[:10]


@pytest.fixture
def gradbench(monkeypatch, capsys):
    """Runs the command line: (exit code, stdout, stderr)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["gradbench", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return call


@pytest.fixture
def rows(tmp_path):
    """Writes a file of rows and returns its path."""

    def write(name, content):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
        return path

    return write


def test_a_baseline_equals_itself(gradbench):
    code, out, _ = gradbench("compare", BASELINE, BASELINE)
    assert code == 0 and out.endswith("no regression: no cell changed\n")


def test_a_regression_is_exit_code_1(gradbench, rows):
    worse = rows("new.jsonl", with_value(ROWS, vjps=999))
    code, out, _ = gradbench("compare", rows("base.jsonl", ROWS), worse)
    assert code == 1 and "+ vjps" in out
    assert gradbench("compare", rows("base.jsonl", ROWS), worse, "--metric", "memory", "--metric", "status")[0] == 0


def test_two_runs_of_one_machine_are_compared_in_time_by_the_factor_given(gradbench, rows):
    sides = rows("base.jsonl", timed(ROWS, 1)), rows("new.jsonl", timed(ROWS, 2, slower=1.2))
    assert gradbench("compare", *sides)[0] == 1
    assert gradbench("compare", *sides, "--factor", 1.4)[0] == 0


@pytest.mark.parametrize(
    ("base", "new", "metrics"),
    [
        (ROWS[:2], ROWS[2:4], []),
        ([], ROWS, []),
        (ROWS, ROWS, ["--metric", "time"]),
        (timed(ROWS, 1, processes=4), timed(ROWS, 2, processes=4), ["--metric", "time"]),
    ],
    ids=["no cell in common", "no rows", "no times", "too few replicates"],
)
def test_comparing_nothing_is_exit_code_4(gradbench, rows, base, new, metrics):
    code, out, _ = gradbench("compare", rows("base.jsonl", base), rows("new.jsonl", new), *metrics)
    assert code == 4 and "nothing comparable" in out


WRONG = [
    ((), "compare needs BASE and NEW, or --ab REV_A REV_B; got 0 paths"),
    (("{ok}",), "got 1 paths"),
    (("{ok}", "{ok}", "{ok}"), "got 3 paths"),
    (("{ok}", "nowhere"), "no such file or folder: 'nowhere'"),
    (("{broken}", "{ok}"), "line 1, is not a gradbench row"),
    (("{ok}", "{broken}"), "line 1, is not a gradbench row"),
    (("{ok}", "{folder}"), "no rows in"),
    (("{ok}", "{ok}", "--factor", "0.5"), "factor must lie in [1, 10], got 0.5"),
    (("{ok}", "{ok}", "--metric", "speed"), "unknown metric 'speed'; allowed: status, gradient, nfe, memory, time"),
    (("{ok}", "{ok}", "--format", "html"), "unknown format 'html'; allowed: text, markdown, json"),
    (("{ok}", "{ok}", "--suite", "ci"), "--suite requires --ab"),
    (("{ok}", "{ok}", "--replicates", "5"), "--replicates requires --ab"),
    (
        ("{ok}", "{ok}", "--out", "/nowhere/at/all"),
        "--out '/nowhere/at/all' cannot be written to: No such file or directory",
    ),
    (("{folder}", "{ok}", "--refresh"), "--refresh writes a baseline over BASE, a .jsonl file"),
    (("{ok}", "{ok}", "--ab", "HEAD", "HEAD"), "--ab names both sides"),
    (("--ab", "no-such-revision", "HEAD"), "'no-such-revision' is not a revision of the git repository here"),
    (("--ab", "--help", "HEAD"), "is not a revision of the git repository here"),
    (("--ab", "HEAD", "HEAD", "--refresh"), "--refresh takes BASE and NEW, not --ab"),
    (("--ab", "HEAD", "HEAD", "--replicates", "0"), "replicates must be an integer >= 1, got 0"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_usage_is_one_clear_line_and_exit_code_2(gradbench, rows, tmp_path, words, message):
    (tmp_path / "folder").mkdir()
    names = {"ok": BASELINE, "broken": rows("broken.jsonl", [{"a": 1}]), "folder": tmp_path / "folder"}
    code, out, err = gradbench("compare", *(word.format(**names) for word in words))
    assert code == 2 and out == "" and err.count("\n") == 1 and message in err


def test_json_is_the_whole_of_stdout(gradbench):
    code, out, _ = gradbench("compare", BASELINE, BASELINE, "--json")
    assert code == 0 and json.loads(out)["verdict"] == "no regression"


def test_a_verdict_in_a_file_leaves_its_headline_on_stdout(gradbench, tmp_path):
    code, out, _ = gradbench("compare", BASELINE, BASELINE, "--format", "markdown", "--out", tmp_path / "pull.md")
    assert code == 0 and out.startswith("no regression") and (tmp_path / "pull.md").read_text().startswith("### ")


def test_a_refresh_tells_what_changed_and_replaces_the_baseline(gradbench, rows):
    base, new = rows("base.jsonl", ROWS), rows("new.jsonl", timed(with_value(ROWS, vjps=999), 1))
    code, out, err = gradbench("compare", base, new, "--refresh")
    assert code == 0 and "+ vjps" in out and "10 cells written to" in err
    assert gradbench("compare", base, new)[0] == 0


def test_a_first_baseline_is_written_where_there_was_none(gradbench, rows, tmp_path):
    new = rows("new.jsonl", ROWS)
    assert gradbench("compare", tmp_path / "mine" / "first.jsonl", new, "--refresh")[0] == 0
    assert gradbench("compare", tmp_path / "mine" / "first.jsonl", new)[0] == 0
