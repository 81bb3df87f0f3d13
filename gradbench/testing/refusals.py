"""Refusals: they have a reason, depend on traits alone, and match what the estimator does."""

from collections.abc import Iterator
from dataclasses import replace

from gradbench.problems.problem import Problem
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.testing.answer import well_formed
from gradbench.testing.subject import STEPS, Subject, place, problem_of
from gradbench.testing.verdict import Skipped, demand

EVERY = (*SAMPLERS, "ddim[eta=1]", "ddim[eta=0.5]", "rex[chart=log-snr-sde]")


def _every(steps: int) -> Iterator[Problem]:
    """A problem under each sampler in turn; `churn` runs on rectified flow, the only schedule it supports."""
    for sampler in EVERY:
        yield problem_of(sampler, steps=steps, draws=4, **({"schedule": "rectified"} if sampler == "churn" else {}))


def serves(subject: Subject) -> str:
    """At least one sampler is served, and each that is not refused gets finite gradients of the right shapes."""
    served, refusal = 0, ""
    for few, many in zip(*map(_every, STEPS), strict=True):
        problem = few if subject.refuses(few) is None else many
        reason = subject.refuses(problem)
        if reason is not None:
            refusal = reason
            continue
        try:
            well_formed(problem, subject.estimate(problem))
        except Exception as error:
            text = " ".join(str(error).split())
            demand(False, f"it does not refuse {place(problem)}, and there: {type(error).__name__}: {text}")
        served += 1
    demand(served > 0, f"it refuses each of {len(EVERY)} samplers, the last so: {refusal}")
    return f"{served} of {len(EVERY)} samplers"


def reason(subject: Subject) -> str:
    """For every sampler, target and dtype, `supports` returns None or one non-empty line, and changes no traits."""
    refusals, asked = 0, 0
    for problem in _every(STEPS[0]):
        for targets in (["x_T"], ["condition"], ["parameters"], list(problem.targets)):
            for dtype in ("float64", "float32", "bfloat16"):
                traits = replace(problem.traits, targets=list(targets), dtype=dtype)
                given = {**traits, "targets": targets}
                first, second = (subject.estimator.supports(traits) for _ in range(2))
                where = f"{problem.sampler.name}, targets {', '.join(targets)}, {dtype}"
                demand(given == traits, f"supports changed the traits it was given ({where})")
                demand(first == second, f"supports says {first!r}, and then {second!r} ({where})")
                asked += 1
                if first is None:
                    continue
                refusals += 1
                demand(
                    isinstance(first, str), f"supports returned {type(first).__name__}, not None or a reason ({where})"
                )
                demand(bool(first.strip()), f"supports refuses with an empty reason ({where})")
                demand("\n" not in first, f"supports refuses with more than one line: {first!r:.80} ({where})")
    return f"{refusals} of {asked} refused"


def refused(subject: Subject) -> str:
    """Called with a problem that it refuses, the estimator raises `ValueError` and returns nothing."""
    tried = 0
    for problem in _every(STEPS[0]):
        if subject.refuses(problem) is None:
            continue
        tried += 1
        try:
            subject.estimate(problem)
        except ValueError:
            continue
        except Exception as error:
            demand(False, f"refused, {place(problem)} raises {type(error).__name__}, not ValueError: {error}")
        demand(False, f"refused, {place(problem)} gets an answer anyway")
    if not tried:
        raise Skipped("it refuses nothing")
    return f"{tried} problems"
