"""Advice as text: what was asked, what to use, the alternatives, and what nothing is known about."""

import math
import shlex
from collections.abc import Collection

from gradbench.analysis.advise import Advice, Option
from gradbench.analysis.evidence import EXACT, Evidence, Task
from gradbench.analysis.words import listed, size
from gradbench.bench.suite import Block
from gradbench.problems.folders import case_specs, weights_of
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.selector import render

NO_ROUNDING = 1e-12  # of the reference's own precision
SHORT = 40  # letters in a source that needs no note


class Notes:
    """Long sources as numbered notes, each once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, evidence: Evidence) -> str:
        """How the number is known, with a note's number for a long source."""
        if len(evidence.source) <= SHORT:
            return str(evidence)
        if evidence.origin not in self.lines:
            self.lines.append(evidence.origin)
        return evidence.said(f"{evidence.how} [{self.lines.index(evidence.origin) + 1}]")


def as_text(task: Task, found: Advice, block: Block, left_out: Collection[str]) -> str:
    """The text; left_out: parts of a block of cells the command does not name."""
    notes = Notes()
    lines = [_asked(task), *_usual(task, left_out), _measure_of_error(task)]
    if not found.chosen:
        lines += ["", "No advice: no estimator is known to meet these requirements."]
    for place, option in zip(("Use", "Next", "Then"), found.chosen, strict=False):
        lines += ["", f"{place}: {option.estimator}", *_facts(option, found.chosen[0], notes)]
    if found.chosen[3:]:
        lines += ["", "Further, in this order:"]
        lines += [_line(option, found.chosen[0], notes) for option in found.chosen[3:]]
    if found.unknown:
        lines += ["", "Not ranked, as no error is known:"]
        lines += [f"  {name}: {why}" for name, why in found.unknown.items()]
        lines += [f"  To measure them: {_run(task, block, found.unknown)}", "  then run advise with --rows runs/mine."]
    if found.refused:
        lines += ["", *(f"Not {name}: {reason}." for name, reason in found.refused.items())]
    if notes.lines:
        lines += ["", *(f"[{number}] {note}" for number, note in enumerate(notes.lines, 1))]
    if found.chosen:
        best = found.chosen[0].estimator
        call = f'sampler="{_sampler(task)}", steps={task.steps}, gradient="{best}", wrt=[...]'
        lines += ["", f"    x_0 = gradbench.sample(denoiser, x_T, {call})"]
    return "\n".join(lines)


def _asked(task: Task) -> str:
    case = case_specs()[task.case]
    given = {name: value for name, value in task.case_params.items() if value != case.params.get(name)}
    told = weights_of({"case": task.case, "case_params": task.case_params, "device": task.device})
    weights = f" ({told})" if told else ""
    memory = "any memory" if math.isinf(task.memory) else f"{size(task.memory)} for weights and peak"
    problem = f"{render(task.case, given)}{weights}, {_sampler(task)}, {task.steps} steps, {task.dtype}"
    return f"{problem}: gradient of {listed(task.targets)}, {memory}."


def _usual(task: Task, left_out: Collection[str]) -> list[str]:
    said = {
        "samplers": f"{task.sampler} on the case's grid",
        "steps": f"{task.steps} steps",
        "dtype": f"the case's {task.dtype}",
        "targets": "all of the case's targets",
    }
    usual = [text for name, text in said.items() if name in left_out]
    return [f"Not specified, so the defaults: {listed(usual)}."] if usual else []


def _measure_of_error(task: Task) -> str:
    of = ", the largest over the targets" if len(task.targets) > 1 else ""
    limit = "" if task.max_error is None else f"; at most {task.max_error:g} is allowed"
    alone = ", without rounding where rows separate it" if task.reference == "sampler" else ""
    return f"Errors are relative, against the {task.reference}'s gradient{of}{alone}{limit}."


def _facts(option: Option, best: Option, notes: Notes) -> list[str]:
    forward, backward, vjps = option.evaluations
    price = "" if option is best else f"; {option.work / best.work:.2f} times the work"
    seconds, peak = option.seconds, option.peak
    return [
        f"  error   {_error(option, notes)}",
        "  peak    " + (f"{size(peak.value)} with weights ({notes(peak)})" if peak else "not predicted: add --memory"),
        f"  work    {forward:g} + {backward:g} network evaluations, {vjps:g} of them pulled back (counted){price}",
        "  time    " + (f"{seconds.value:.3g} s ({notes(seconds)})" if seconds else "not measured for this problem"),
    ]


def _line(option: Option, best: Option, notes: Notes) -> str:
    return f"  {option.estimator}: error {_error(option, notes)}; {option.work / best.work:.2f} times the work"


def _error(option: Option, notes: Notes) -> str:
    assert option.error is not None
    text, rounding = notes(option.error), option.rounding
    if option.error.how == EXACT:
        if rounding is None:
            text += "; rounding not measured"
        elif rounding.value > NO_ROUNDING:
            text += f"; rounding {rounding.value:.2g}, {notes(rounding)}"
    return f"{option.error.value:.2g} ({text})"


def _sampler(task: Task) -> str:
    defaults = SAMPLERS[task.sampler].defaults if task.sampler in SAMPLERS else {}
    return render(task.sampler, {k: v for k, v in task.sampler_params.items() if k == "grid" or v != defaults.get(k)})


def _run(task: Task, block: Block, names: Collection[str]) -> str:
    """The command that measures these estimators for the task."""
    words = ["gradbench", "run", "-c", *block.cases, "--sampler", _sampler(task), "--steps", str(task.steps)]
    for flag, values in (("--target", task.targets), ("-e", names)):
        words += [word for value in values for word in (flag, value)]
    return shlex.join([*words, "--dtype", task.dtype, "--seeds", "0-2", "--out", "runs/mine"])
