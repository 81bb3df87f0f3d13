"""Measures two revisions in turn, A B B A A B ..., so that a slow minute of the machine hits both.

Each revision has its own git worktree, which is removed whatever happens, and runs as it is, on the current interpreter
and its packages: `python -m gradbench run` with the worktree first on the path. In an estimator author's repository,
gradbench itself is the installed one and the estimator is the revision's.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.bench.progress import Doing
from gradbench.checks import UsageError
from gradbench.exits import Exit

NAMES = ("base", "new")
RAN = (Exit.OK, Exit.CELLS_FAILED)  # of `run`, where it leaves rows


class CannotRun(Exception):
    """Why a revision yields no rows: git bisect skips the commit, exit code 125."""


def measure(revisions: Sequence[str], words: Sequence[str], replicates: int, out: Path) -> tuple[Path, Path]:
    """Runs `words`, the options of `gradbench run`, `replicates` times on each of two revisions.

    Returns the two folders of rows, OUT/base-COMMIT and OUT/new-COMMIT, written anew. Raises `ValueError` for a
    revision not in this repository, `CannotRun` if one of them yields no rows.
    """
    checks.positive_integer("replicates", replicates)
    commits = [commit_of(revision) for revision in revisions]
    folders = [(out / f"{name}-{commit[:10]}").resolve() for name, commit in zip(NAMES, commits, strict=True)]
    for folder in folders:
        if (folder / "plan.json").exists():
            shutil.rmtree(folder)
    place = Path.cwd().resolve().relative_to(_git("rev-parse", "--show-toplevel"))
    with worktrees(commits) as trees, Doing("compare", 2 * replicates) as doing:
        for replicate in range(replicates):
            for side in (0, 1) if replicate % 2 == 0 else (1, 0):
                doing.at(f"{NAMES[side]} {commits[side][:10]}, replicate {replicate + 1} of {replicates}")
                line = [*words, "--replicates", str(replicate + 1), "--out", str(folders[side])]
                said = run(trees[side], place, line, f"{NAMES[side].upper()} {revisions[side]}")
                print(f"{NAMES[side]:<4} {commits[side][:10]}, replicate {replicate + 1}: {said}", file=sys.stderr)
    return folders[0], folders[1]


def commit_of(revision: str) -> str:
    """The commit that a revision names; `ValueError` if there is no repository or no such revision."""
    _git("rev-parse", "--show-toplevel")
    try:
        return _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except ValueError:
        raise UsageError(f"--ab: {revision!r} is not a revision of the git repository here") from None


@contextlib.contextmanager
def worktrees(commits: Sequence[str]) -> Iterator[list[Path]]:
    """A worktree of each commit in a temporary folder, removed at the end, even if the process is killed."""

    def stop(signum: int, frame: Any) -> None:
        sys.exit(128 + signum)

    previous = signal.signal(signal.SIGTERM, stop)
    holder = Path(tempfile.mkdtemp(prefix="gradbench-ab-"))
    trees = [holder / name for name in NAMES]
    try:
        for tree, commit in zip(trees, commits, strict=True):
            _git("worktree", "add", "--detach", "--quiet", str(tree), commit)
        yield trees
    finally:
        shutil.rmtree(holder, ignore_errors=True)
        _git("worktree", "prune")
        signal.signal(signal.SIGTERM, previous)


def run(tree: Path, place: Path, words: Sequence[str], name: str) -> str:
    """`gradbench run` at a place in a worktree; returns the last line it prints.

    Raises `CannotRun` if it leaves no rows.
    """
    if not (tree / place).is_dir():
        raise CannotRun(f"{name} cannot run: it has no folder {str(place)!r}")
    path = [str(folder) for folder in (tree, tree / "src") if folder.is_dir()] + [os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    command = [sys.executable, "-m", "gradbench", "run", *words]
    done = subprocess.run(command, cwd=tree / place, env=environment, capture_output=True, text=True)
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
    if done.returncode == Exit.INTERRUPTED:
        raise KeyboardInterrupt
    if done.returncode not in RAN:
        raise CannotRun(f"{name} cannot run (exit code {done.returncode}): {last}")
    return last


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    except OSError as error:
        raise UsageError(f"--ab needs git: {error}") from None
    if done.returncode:
        raise UsageError(f"git {' '.join(arguments)}: {' '.join(done.stderr.split()) or 'failed'}")
    return done.stdout.strip()
