"""Names, summaries, sources and options of everything that can be named. No torch."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gradbench import checks
from gradbench.allowed import Allowed, allowed
from gradbench.bench.suite import load_suite, suite_files
from gradbench.data import Json
from gradbench.entry import Catalogue, Entry, load
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.estimators.entries import EstimatorEntry
from gradbench.objectives.catalogue import OBJECTIVES, ObjectiveSpec
from gradbench.problems.case import make_case
from gradbench.problems.folders import case_specs
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.selector import parse, render

CATALOGUES: dict[str, Catalogue[Any]] = {"estimators": ESTIMATORS, "samplers": SAMPLERS, "objectives": OBJECTIVES}
LISTED = ("cases", "estimators", "samplers", "objectives", "suites")


def entries(kind: str) -> list[Json]:
    """Name, summary and source of every case, estimator, sampler, objective or suite."""
    if kind == "suites":
        found = [load_suite(name) for name in suite_files()]
        return [{"name": suite.name, "summary": suite.summary, "source": ""} for suite in found]
    if kind == "cases":
        left_out: list[str] = []
        found = case_specs(left_out)
        _tell(left_out)
        return [{"name": h.name, "summary": h.summary, "source": h.citation} for h in found.values()]
    catalogue = CATALOGUES[kind]
    own = [
        {"name": e.name, "summary": e.summary, "source": e.citation, "defaults": dict(e.defaults), **_sure(e)}
        for e in catalogue.values()
    ]
    _tell(catalogue.plugins.refused)
    return own + [
        {"name": p.name, "summary": p.lacking or p.summary, "source": f"{p.place}, {p.package}"}
        for p in catalogue.plugins.values()
    ]


def _sure(entry: Entry) -> Json:
    """How sure an estimator's formula is."""
    return {"confidence": entry.confidence} if isinstance(entry, EstimatorEntry) else {}


def _tell(left_out: Sequence[str]) -> None:
    """Prints to stderr what other packages offer but cannot be used."""
    for line in left_out:
        print(f"gradbench: {line}", file=sys.stderr)


def takes(name: str) -> dict[str, Allowed]:
    """The allowed values of each option of an estimator or sampler, or parameter of a case; `ValueError` if unknown."""
    for catalogue in (ESTIMATORS, SAMPLERS):
        if name in catalogue or name in catalogue.plugins:
            return _takes(catalogue.find(name))
    known = case_specs()
    checks.one_of("name", name, [*ESTIMATORS, *SAMPLERS, *known])
    return {option: allowed(lambda given: make_case(name, given), option) for option in known[name].params}


def _takes(entry: Entry) -> dict[str, Allowed]:
    return {option: allowed(entry.options, option) for option in entry.defaults}


def _plain(takes: dict[str, Allowed]) -> Json:
    """Lists of values, or words, as in JSON."""
    return {option: list(found.values) or found.words for option, found in takes.items()}


def entry(selector: str) -> Mapping[str, Any]:
    """Kind, name, summary and further details of a case, estimator, sampler, objective or suite."""
    name, given = parse(selector)
    catalogue = _catalogue_of(name)
    if catalogue is not None:
        e = catalogue.find(name)
        facts: Json = {"source": e.citation, "code": e.factory}
        if isinstance(e, ObjectiveSpec):
            checks.options(name, given, e.defaults)
            facts |= {"judges": e.on, "made from": list(e.takes) or "nothing"}
        else:
            facts |= {name: said for name, said in _sure(e).items() if said != "paper"}
            facts |= {"options": e.options(given), "allowed": _plain(_takes(e)), "traits": e.declared(given).said}
        return {"kind": catalogue.kind, "name": render(name, given), "summary": e.summary, **facts}
    known = case_specs()
    if name in known:
        h = known[name]
        facts = {"source": h.citation, "objectives": list(h.objectives)}
        facts |= {"parameters": make_case(name, given).params, "allowed": _plain(takes(name))}
        facts |= {"references": list(h.references), "arrays": list(h.arrays), "targets": list(h.targets)}
        found = {"kind": "case", "name": render(name, given), "summary": h.summary, **facts}
        return found | {"grid": h.grid, "dtype": h.dtype}
    files = suite_files()
    of_others = [name for catalogue in CATALOGUES.values() for name in catalogue.plugins]
    checks.one_of("name", name, [*ESTIMATORS, *SAMPLERS, *OBJECTIVES, *of_others, *known, *files])
    return {"kind": "suite", "name": name, "summary": load_suite(name).summary, "text": files[name].read_text()}


def _catalogue_of(name: str) -> Catalogue[Any] | None:
    """The catalogue with a name, or the one that fits `module:attribute` by its type; None if there is none."""
    if ":" not in name:
        return next((each for each in CATALOGUES.values() if name in each or name in each.plugins), None)
    ESTIMATORS.find(name)  # raises for what cannot be loaded
    found = load(name, name)
    if isinstance(found, Entry):
        of_sampler = "grid" in found.defaults or "chart" in found.traits
        return OBJECTIVES if isinstance(found, ObjectiveSpec) else SAMPLERS if of_sampler else ESTIMATORS
    bases = {"samplers": "gradbench.samplers.base:Rule", "objectives": "torch.nn:Module"}
    bases["estimators"] = "gradbench.estimators.base:GradientEstimator"
    for kind, place in bases.items():
        base = load(kind, place)
        if isinstance(found, base) or isinstance(found, type) and issubclass(found, base):
            return CATALOGUES[kind]
    try:
        made = found()
    except Exception:  # a function of the sample gets no sample here
        return OBJECTIVES
    return next((CATALOGUES[kind] for kind, place in bases.items() if isinstance(made, load(kind, place))), OBJECTIVES)
