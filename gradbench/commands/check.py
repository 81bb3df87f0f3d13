"""`gradbench check`: a table of verdicts an estimator, or JSON."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from gradbench import checks
from gradbench.bench.progress import Doing
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.selector import expand, render
from gradbench.testing.catalogue import CHECKS
from gradbench.testing.subject import Subject, subject_of
from gradbench.testing.verdict import Verdict

OK, FAILED = 0, 1
WIDTH, INDENT = 100, 26


def check_command(selectors: Sequence[str], names: Sequence[str], as_json: bool) -> int:
    """Checks every estimator that is selected, `all` being those of gradbench; 1 where a check fails."""
    import torch

    from gradbench.testing.judge import judge

    torch.set_num_threads(1)  # the problems are small
    for name in names:
        checks.one_of("check", name, CHECKS)
    words = [word for given in selectors for word in (ESTIMATORS if given == "all" else [given])]
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
    return FAILED if counts["failed"] else OK


def _head(subject: Subject) -> str:
    declared = ", ".join(f"{name} {value}".lower() for name, value in subject.traits.items())
    return f"{subject.name}: declares {declared or 'nothing'}"


def _line(verdict: Verdict) -> str:
    start = f"  {verdict.check:<14}{verdict.status:<10}"
    return textwrap.fill(verdict.said, WIDTH, initial_indent=start, subsequent_indent=" " * INDENT)
