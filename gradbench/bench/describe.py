"""The verbs `list`, `show` and `env`: what there is, what is known of one name, and what a row made here would say."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from gradbench import checks
from gradbench.bench.case import folders, headers
from gradbench.bench.suite import load_suite, suite_files
from gradbench.entry import Catalogue
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.samplers.catalogue import SAMPLERS

KINDS = ("cases", "estimators", "samplers", "suites")


def list_command(kind: str, as_json: bool) -> None:
    """One line an entry: name, summary, source."""
    checks.one_of("kind", kind, KINDS)
    found = entries(kind)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    width = max(len(entry["name"]) for entry in found)
    for entry in found:
        print(f"{entry['name']:<{width}}  {entry['summary']}" + (f"  [{entry['source']}]" if entry["source"] else ""))


def entries(kind: str) -> list[dict[str, Any]]:
    """Name, summary and source of every case, estimator, sampler or suite."""
    if kind == "suites":
        found = [load_suite(name) for name in suite_files()]
        return [{"name": suite.name, "summary": suite.summary, "source": ""} for suite in found]
    if kind == "cases":
        left_out: list[str] = []
        found = headers(left_out)
        _tell(left_out)
        return [{"name": h.NAME, "summary": h.SUMMARY, "source": h.CITATION} for h in found.values()]
    catalogue: Catalogue = {"estimators": ESTIMATORS, "samplers": SAMPLERS}[kind]
    own = [
        {"name": e.name, "summary": e.summary, "source": e.citation, "defaults": dict(e.defaults)}
        for e in catalogue.values()
    ]
    _tell(catalogue.plugins.refused)
    return own + [
        {"name": p.name, "summary": p.lacking or p.summary, "source": f"{p.place}, {p.package}"}
        for p in catalogue.plugins.values()
    ]


def _tell(left_out: Sequence[str]) -> None:
    """What other packages offer and cannot be had, on stderr."""
    for line in left_out:
        print(f"gradbench: {line}", file=sys.stderr)


def show_command(name: str, as_json: bool = False) -> None:
    """Everything that is known of one name."""
    found = _entry(name)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    if found["kind"] == "suite":
        print(found["text"], end="")
        return
    print("{kind} {name}: {summary}".format(**found))
    for key, value in list(found.items())[3:]:
        if isinstance(value, dict):
            key, value = f"{key} (default)", ", ".join(f"{k}={_word(v)}" for k, v in value.items()) or "none"
        print(f"{key}: {value if isinstance(value, str) else ', '.join(map(str, value))}")


def _entry(name: str) -> dict[str, Any]:
    """Kind, name, summary, and what else there is, of a case, an estimator, a sampler or a suite."""
    known = headers()
    for catalogue in (ESTIMATORS, SAMPLERS):
        if name in catalogue or name in catalogue.plugins:
            e = catalogue.find(name)
            facts = {"source": e.citation, "code": e.factory, "options": dict(e.defaults), "traits": e.declared({})}
            return {"kind": catalogue.kind, "name": name, "summary": e.summary, **facts}
    if name in known:
        h = known[name]
        facts = {"source": h.CITATION, "objectives": list(h.OBJECTIVES), "parameters": dict(h.PARAMS)}
        facts |= {"references": list(h.REFERENCES), "arrays": list(h.ARRAYS), "targets": list(h.TARGETS)}
        return {"kind": "case", "name": name, "summary": h.SUMMARY, **facts, "grid": h.GRID, "dtype": h.DTYPE}
    checks.one_of("name", name, [*ESTIMATORS, *ESTIMATORS.plugins, *SAMPLERS, *known, *suite_files()])
    file = suite_files()[name]
    return {"kind": "suite", "name": name, "summary": load_suite(name).summary, "text": file.read_text()}


def _word(value: Any) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def env_command(as_json: bool) -> None:
    """The provenance of a row made here."""
    from gradbench.measure.environment import environment

    found = environment(tuple(folders()))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if name == "versions":
            value = ", ".join(f"{k} {v}" for k, v in value.items() if v)
        print(f"{name}: {value}")
