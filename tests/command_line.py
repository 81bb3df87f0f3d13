"""The command line, in a process of its own or in this one."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from unittest import mock

CACHE = tempfile.TemporaryDirectory()  # what commands keep for their user, away from the user's own


def gradbench(*words, cwd=None, path=None):
    """`gradbench WORDS`, finished, with its output as text; `path` is a folder in which its modules are looked for."""
    command = [sys.executable, "-m", "gradbench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment(path))


def inside(*words):
    """The same in this process, for lines that start no worker: a second sooner."""
    from gradbench.cli import main

    argv, out, err = ["gradbench", *map(str, words)], io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            return subprocess.CompletedProcess(argv, int(end.code or 0), out.getvalue(), err.getvalue())


def environment(path=None):
    """This process's environment, with a folder searched first for modules."""
    before = os.environ.get("PYTHONPATH")
    paths = [str(path)] if path else []
    return {
        **os.environ,
        "XDG_CACHE_HOME": CACHE.name,
        "PYTHONPATH": os.pathsep.join([*paths, *([before] if before else [])]),
    }
