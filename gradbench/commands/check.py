"""The verb `check`: a table of verdicts per estimator, or JSON."""

import json
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gradbench import checks
from gradbench.bench.progress import Doing
from gradbench.commands.completing import names as names_of
from gradbench.commands.completing import selectors
from gradbench.commands.options import json_option
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.exits import Exit
from gradbench.selector import expand, render
from gradbench.testing.catalogue import CHECKS
from gradbench.testing.verdict import Verdict

if TYPE_CHECKING:
    from gradbench.testing.subject import Subject

WIDTH, INDENT = 100, 26


@click.command()
@click.argument(
    "estimators", nargs=-1, required=True, metavar="ESTIMATOR...", shell_complete=selectors("estimators", "all")
)
@click.option(
    *("-k", "--check", "names"),
    multiple=True,
    metavar="NAME",
    shell_complete=names_of("checks"),
    help="Run only this check; repeatable.",
)
@json_option
def check(estimators: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> Exit:
    """Check that estimators keep their contract: selectors, module:Class, or all; exit code 1 if one fails."""
    import torch

    from gradbench.testing.judge import judge
    from gradbench.testing.subject import subject_of

    torch.set_num_threads(1)  # the problems are small
    for name in names:
        checks.one_of("check", name, CHECKS)
    words = [word for given in estimators for word in (ESTIMATORS if given == "all" else [given])]
    subjects = [subject_of(render(*choice)) for word in words for choice in expand(word)]
    verdicts = []
    with Doing("check", len(subjects) * len(names or CHECKS)) as doing:
        for subject in subjects:
            if not as_json:
                print(_head(subject), flush=True)
            for name in names or CHECKS:
                doing.at(f"{subject.name}: {name}")
                verdicts.append(judge(subject, name))
                if not as_json:
                    print(_line(verdicts[-1]), flush=True)
    counts = Counter(verdict.status for verdict in verdicts)
    if as_json:
        print(json.dumps([asdict(verdict) for verdict in verdicts], indent=2))
    else:
        print(f"{counts['ok']} ok, {counts['failed']} failed, {counts['skipped']} skipped")
    return Exit.FAILED if counts["failed"] else Exit.OK


def _head(subject: "Subject") -> str:
    declared = ", ".join(f"{name} {value}".lower() for name, value in subject.traits.said.items())
    return f"{subject.name}: declares {declared or 'nothing'}"


def _line(verdict: Verdict) -> str:
    start = f"  {verdict.check:<14}{verdict.status:<10}"
    return textwrap.fill(verdict.said, WIDTH, initial_indent=start, subsequent_indent=" " * INDENT)
