"""Two revisions of an estimator's own repository, measured in turn: faults are found, broken revisions skipped."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gradbench.bench.load import load_rows
from gradbench.compare import ab

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

ESTIMATOR = """import time

from gradbench import Differentiable


class Mine(Differentiable):
    def sample(self, rollout, x_T, wrt):
        {before}
        x_0 = rollout.sample(x_T)
        {after}
        return x_0
"""
RIGHT = {"before": "pass", "after": "pass"}
FAULTS = {
    "sign": ({"after": "x_0.register_hook(lambda cotangent: -cotangent)"}, "gradient", "sampler_error_x_T"),
    "factor": ({"after": "x_0.register_hook(lambda c: c * (1 + 1e-3))"}, "gradient", "sampler_error_parameters"),
    "evaluation": ({"before": "rollout.denoiser(x_T.detach(), rollout.grid[0])"}, "nfe", "nfe_forward"),
    "memory": ({"after": "x_0.register_hook(lambda c, held=x_T.new_zeros(8): None)"}, "memory", "peak_bytes"),
}
SLEEP = {  # as long as the estimate itself, to be seen on a busy machine too; smaller ones are left to simulations
    "before": "began = time.perf_counter()",
    "after": "time.sleep(3 * (time.perf_counter() - began))",
}
CELL = ("-c", "gaussian", "-e", "mine:Mine", "--sampler", "ddim", "--steps", "5")
REGRESSION, CANNOT_RUN = 1, 125


class Repository:
    """A git repository with one estimator, and commits that change it."""

    def __init__(self, folder):
        self.folder = folder
        self.git("init", "--quiet")
        self.git("config", "user.name", "a developer")
        self.git("config", "user.email", "developer@example.org")

    def git(self, *words):
        done = subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, source):
        (self.folder / "mine.py").write_text(source)
        self.git("add", "mine.py")
        self.git("commit", "--quiet", "--allow-empty", "-m", "a change")
        return self.git("rev-parse", "HEAD")

    def compare(self, *words):
        return self.call(sys.executable, "-m", "gradbench", "compare", *words)

    def call(self, *command):
        path = os.pathsep.join(filter(None, [str(Path(ab.__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)

    def left_over(self):
        """Worktrees besides the repository's own, and their folders."""
        trees = self.git("worktree", "list").splitlines()[1:]
        return trees + [path for path in Path(tempfile.gettempdir()).glob("gradbench-ab-*") if self.owns(path)]

    def owns(self, path):
        pointer = path / "base" / ".git"
        return pointer.is_file() and str(self.folder) in pointer.read_text()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("repository"))
    repository.git("tag", "right", repository.commit(ESTIMATOR.format(**RIGHT)))
    for name, (change, *_) in {**FAULTS, "sleep": (SLEEP,)}.items():
        repository.git("tag", name, repository.commit(ESTIMATOR.format(**{**RIGHT, **change})))
    repository.git("tag", "broken", repository.commit("class Mine(:"))
    repository.git("rm", "--quiet", "mine.py")
    repository.git("commit", "--quiet", "-m", "gone")
    repository.git("tag", "gone", "HEAD")
    return repository


def test_a_wrong_sign_is_found_and_no_worktree_left(repository, tmp_path):
    done = repository.compare("--ab", "right", "sign", *CELL, "--metric", "gradient", "--out", tmp_path)
    assert done.returncode == REGRESSION, done.stderr
    assert "+ sampler_error_x_T" in done.stdout and "-> 2" in done.stdout
    assert not repository.left_over()
    assert {len(load_rows(folder)) for folder in tmp_path.iterdir()} == {1}


@pytest.mark.parametrize(
    ("revision", "reason"),
    [("gone", "there is no module 'mine'"), pytest.param("broken", "SyntaxError", marks=pytest.mark.slow)],
)
def test_a_revision_that_cannot_run_is_exit_code_125_with_the_reason(repository, tmp_path, revision, reason):
    done = repository.compare("--ab", revision, "right", *CELL, "--metric", "status", "--out", tmp_path)
    assert done.returncode == CANNOT_RUN and done.stdout == ""
    assert "cannot run" in done.stderr.splitlines()[-1] and reason in done.stderr.splitlines()[-1]
    assert not repository.left_over()


def test_revisions_take_turns(monkeypatch, tmp_path):
    """A B, B A, A B: no side is always the first."""
    turns = []
    monkeypatch.setattr(ab, "commit_of", lambda revision: revision * 40)
    monkeypatch.setattr(ab, "worktrees", lambda commits: contextlib.nullcontext(["a", "b"]))
    monkeypatch.setattr(ab, "_git", lambda *words: str(Path.cwd().resolve()))
    monkeypatch.setattr(ab, "run", lambda tree, place, words, name: turns.append((tree, words[1])))
    ab.measure(("A", "B"), [], 3, tmp_path)
    assert turns == [("a", "1"), ("b", "1"), ("b", "2"), ("a", "2"), ("a", "3"), ("b", "3")]


def test_worktrees_go_away_when_something_fails(repository, monkeypatch):
    monkeypatch.chdir(repository.folder)
    with pytest.raises(RuntimeError, match="on purpose"), ab.worktrees(["right", "sign"]) as trees:
        assert all((tree / "mine.py").exists() for tree in trees)
        raise RuntimeError("on purpose")
    assert not any(tree.exists() for tree in trees) and not repository.left_over()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_an_injected_fault_is_found_end_to_end(repository, tmp_path, name):
    _, metric, column = FAULTS[name]
    metrics = [word for metric in ("status", "gradient", "nfe", "memory") for word in ("--metric", metric)]
    done = repository.compare("--ab", "right", name, *CELL, *metrics, "--out", tmp_path, "--json")
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == REGRESSION
    assert (metric, column, "+") in {(f["metric"], f["column"], f["mark"]) for f in findings}


@pytest.mark.slow
def test_an_injected_sleep_is_found_end_to_end_and_nothing_else(repository, tmp_path):
    done = repository.compare("--ab", "right", "sleep", *CELL, "--out", tmp_path, "--json")
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == REGRESSION and [(f["metric"], f["mark"]) for f in findings] == [("time", "+")]


@pytest.mark.slow
def test_git_bisect_finds_the_commit_past_one_that_cannot_run(tmp_path):
    repository = Repository(tmp_path)
    good = repository.commit(ESTIMATOR.format(**RIGHT))
    repository.commit("# a comment\n" + ESTIMATOR.format(**RIGHT))
    repository.commit("class Mine(:")
    repository.commit("# another comment\n" + ESTIMATOR.format(**RIGHT))
    bad = repository.commit(ESTIMATOR.format(**{**RIGHT, **FAULTS["sign"][0]}))
    repository.commit("# the last comment\n" + ESTIMATOR.format(**{**RIGHT, **FAULTS["sign"][0]}))
    repository.git("bisect", "start", "HEAD", good)
    judge = (sys.executable, "-m", "gradbench", "compare", "--ab", good, "HEAD", *CELL, "--metric", "gradient")
    done = repository.call("git", "bisect", "run", *judge)
    assert f"{bad} is the first bad commit" in done.stdout, done.stdout + done.stderr
    assert not repository.left_over()
