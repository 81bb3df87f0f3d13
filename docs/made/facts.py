"""What the code shows of a catalogue entry: allowed values, promises that options change, refusals and why."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gradbench.allowed import allowed
from gradbench.diffusion.grid import TimeRange, range_of
from gradbench.diffusion.schedule import make_schedule
from gradbench.entry import Entry
from gradbench.estimators.catalogue import EstimatorEntry
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.samplers.spec import SamplerSpec, sampler_spec
from gradbench.selector import parse

# where refusals are probed: the schedule, the ends of its range, the steps; the first is the ordinary one
FEW = "in 2 steps"
SITUATIONS = {
    "": ("scaled-linear", 1.0, 0.001, 20),
    "on a range that begins at alpha = 0": ("rectified", 1.0, 0.001, 20),
    "on a range that ends at sigma = 0": ("scaled-linear", 1.0, 0.0, 20),
    FEW: ("scaled-linear", 1.0, 0.001, 2),
}
# a value that has to fit the problem: more backward steps than the sampler has
TOO_MANY = {"steps": 40}


def settings(entry: Entry) -> Iterator[tuple[str, dict[str, Any]]]:
    """The options to try: the defaults, then each value of each option with several."""
    yield "", {}
    for option in entry.defaults:
        values = allowed(entry.options, option).values
        given = [parse(f"x[{option}={text}]")[1] for text in values]
        given += [{option: TOO_MANY[option]}] if option in TOO_MANY else []
        for options in given:
            yield f"{option}={options[option]}", options


def promises(entry: EstimatorEntry) -> tuple[Mapping[str, Any], list[tuple[str, dict[str, Any]]]]:
    """The default traits, and those that each setting changes, if any."""
    known = entry.declared({}).said
    changed = [
        (name, {key: value for key, value in entry.declared(options).said.items() if value != known.get(key)})
        for name, options in settings(entry)
    ]
    return known, [(name, traits) for name, traits in changed if traits]


def refusals(entry: Entry) -> dict[str, tuple[list[str], list[str]]]:
    """An estimator's refusals: reason -> ([setting, situation] met first, the samplers refused there)."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for setting, options in settings(entry):
        for situation, (schedule, t_max, t_min, steps) in SITUATIONS.items():
            if setting and situation == FEW:
                continue
            span = range_of(make_schedule(schedule), (t_max, t_min))
            for name in SAMPLERS:
                spec = sampler_spec(name)
                traits = ProblemTraits(**spec.traits, **span, steps=steps, targets=["x_T"], dtype="float64")
                if not _runs(spec, span):
                    continue
                reason = entry.refuses(entry.options(options), traits)
                if reason:
                    where, names = found.setdefault(reason, ([setting, situation], []))
                    names += [name] * (where == [setting, situation])
    return found


def sampler_refusals(entry: Entry) -> dict[str, str]:
    """A sampler's refusals: reason -> situation met first."""
    found: dict[str, str] = {}
    for situation, (schedule, t_max, t_min, _) in SITUATIONS.items():
        reason = sampler_spec(entry.name).refuses(range_of(make_schedule(schedule), (t_max, t_min)))
        if reason:
            found.setdefault(reason, situation)
    return found


def _runs(spec: SamplerSpec, span: TimeRange) -> bool:
    """Whether the sampler itself runs there; one for rectified flow only is tried wherever it does."""
    return not all(spec.refuses(where) for where in (span, replace(span, schedule="rectified")))
