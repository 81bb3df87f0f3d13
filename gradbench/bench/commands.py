"""What the verbs of the command line do, and what they print. No torch."""

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.bench.case import folders, headers
from gradbench.bench.plan import MOST_CELLS
from gradbench.bench.suite import Block, Suite, load_suite, suite_files
from gradbench.command import command
from gradbench.entry import Catalogue
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.selector import parse, render

KINDS = ("cases", "estimators", "samplers", "suites")
OK, SOME_FAILED, NOTHING, INTERRUPTED = 0, 3, 4, 130


def selection(options: dict[str, Any]) -> Suite:
    """The suite that the options name, its parts replaced by those that they give; without one, these alone."""
    given = block_of(options)
    if options["suite"] is None and not any(given[name] for name in ("cases", "samplers", "estimators")):
        options = {**options, "suite": "smoke"}
    if options["suite"] is not None:
        suite = load_suite(options["suite"])
    else:
        suite = Suite("selection", "", [Block(["gaussian"], ["ddim"], list(ESTIMATORS))])
    replicates = suite.replicates if options["replicates"] is None else options["replicates"]
    blocks = with_weights([b.override(given) for b in suite.blocks], options["weights"])
    return Suite(suite.name, suite.summary, blocks, replicates, suite.expects)


def block_of(options: dict[str, Any]) -> dict[str, Any]:
    """The lists of cells that options give; `-e all` is every estimator of the catalogue."""
    given = {name: list(options[name]) for name in ("cases", "samplers", "estimators", "steps", "targets")}
    if given["estimators"] == ["all"]:
        given["estimators"] = list(ESTIMATORS)
    seeds = parse_seeds(options["seeds"]) if options.get("seeds") is not None else None
    return {**given, "seeds": seeds, "dtype": options["dtype"], "device": options.get("device")}


def with_weights(blocks: list[Block], weights: str | None) -> list[Block]:
    """The blocks with those weights in every case that can load some; `ValueError` where none can."""
    if weights is None:
        return blocks
    if not weights or any(mark in weights for mark in "[]=\"',"):
        raise ValueError(f"--weights must be a folder or a hub's id without any of []=\"', got {weights!r}")
    known = headers()
    taking = [name for name, header in known.items() if "weights" in header.PARAMS]

    def loaded(text: str) -> str:
        name, given = parse(text)
        return render(name, {**given, "weights": weights}) if name in taking else text

    if not any(parse(text)[0] in taking for block in blocks for text in block.cases):
        raise ValueError(f"--weights needs a case that loads weights: {', '.join(taking)}")
    return [replace(block, cases=[loaded(text) for text in block.cases]) for block in blocks]


def parse_seeds(text: str) -> list[int]:
    """`0-4` or `0,3,5-7`."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if match is None:
            raise ValueError(f"--seeds must be a range like 0-4 or 0,3, got {text!r}")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low or high - low >= MOST_CELLS:
            raise ValueError(f"--seeds must be a range like 0-4 of at most {MOST_CELLS:,} seeds, got {text!r}")
        seeds += range(low, high + 1)
    return seeds


def parse_seconds(text: str) -> float:
    """`90`, `90s`, `10m` or `1h`, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"--timeout must be a time like 90s, 10m or 1h, got {text!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def parse_bytes(text: str) -> int:
    """`4GiB`, `500MB` or `1000000`, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]i?)?B?", text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"--memory must be a size like 4GiB or 500MB, got {text!r}")
    unit = match[2] or ""
    return int(float(match[1]) * (1024 if unit.endswith("i") else 1000) ** " kMGT".index(unit[:1] or " "))


def run_command(options: dict[str, Any], line: str) -> int:
    """Plans, runs, stores, and shows what came of it; returns the exit code."""
    from gradbench.bench.engines import ENGINES
    from gradbench.bench.isolate import Limits
    from gradbench.bench.plan import make_plan
    from gradbench.bench.progress import Progress
    from gradbench.bench.runner import RERUNS, Interrupted, Run, execute
    from gradbench.bench.store import Store

    checks.one_of("--rerun", options["rerun"], RERUNS)
    checks.one_of("engine", options["engine"], ENGINES)
    jobs = checks.positive_integer("jobs", options["jobs"])
    memory = parse_bytes(options["memory"]) if options["memory"] else None
    threads = options["threads"]
    if threads is not None:
        threads = int(checks.in_range("threads", threads, 1, 256))
    limits = Limits(parse_seconds(options["timeout"]), threads, memory)
    suite = selection(options)
    planned = make_plan(suite.blocks, suite.replicates)
    if options["dry_run"]:
        _show_plan(planned, options["as_json"])
        return OK
    for device in {block.device for block in suite.blocks} - {"cpu"}:
        checks.device(device)
    if not options["out"]:
        raise ValueError("--out must name a folder, got ''")
    store = Store(Path(options["out"]))
    store.lock()
    todo = _todo(planned, store.rows(), options["rerun"])
    store.write_plan(planned, suite.name, line, suite.expects)
    engine = "inline" if options["pdb"] else options["engine"]
    stopped: str | None = None
    with Progress(len(todo), len(planned) - len(todo)) as progress:
        try:
            how = Run(suite.name, engine, jobs, limits, debug=options["pdb"])
            execute(todo, store, how, progress.row, store.attempts())
        except (Interrupted, KeyboardInterrupt):
            stopped = "interrupted"
        except OSError as error:
            stopped = f"a row could not be stored ({error.strerror})"
    keys = {item.key for item in planned}
    del planned, todo  # a long plan is as large as its rows
    rows = [row for row in store.rows() if (row["cell_id"], row["replicate"]) in keys]
    if stopped is not None:
        print(f"{stopped}: {len(rows)} of {len(keys)} cells have rows; go on with: {line}", file=sys.stderr)
        return INTERRUPTED if stopped == "interrupted" else SOME_FAILED
    if not rows:
        print("gradbench: nothing selected", file=sys.stderr)
        return NOTHING
    if options["as_json"]:
        print(json.dumps(rows))
    write_outputs(rows, store.folder, line, show=not options["as_json"])
    failed = [row for row in rows if row["status"] not in ("ok", "skip", *suite.expects)]
    return SOME_FAILED if failed else OK


def _todo(planned: list[Any], earlier: list[dict[str, Any]], rerun: str) -> list[Any]:
    """What is left of a plan; says on stderr how many of the rows already there were made by other code."""
    from gradbench.bench.runner import pending
    from gradbench.measure.environment import fingerprint

    today = fingerprint(tuple(folders()))
    stale = sum(row.get("fingerprint") != today for row in earlier)
    if stale and rerun != "all":
        print(f"{stale} rows there were made by other code than this; --rerun all measures them again", file=sys.stderr)
    return pending(planned, earlier, rerun)


def _show_plan(planned: Sequence[Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**item.cell, "replicate": item.replicate, "skip": item.skip} for item in planned]))
        return
    for item in planned:
        print(f"{item.cell['cell_id']}  {command(item.cell)}" + (f"  # skip: {item.skip}" if item.skip else ""))
    counts = Counter("skip" if item.skip else "run" for item in planned)
    print(f"{len(planned)} cells: {counts['run']} to run, {counts['skip']} skipped")


def write_outputs(rows: Sequence[dict[str, Any]], folder: Path, line: str, show: bool = True) -> None:
    """The table in the terminal, rows.parquet and report.html."""
    from gradbench.bench.store import write_parquet
    from gradbench.report.html import write_report
    from gradbench.report.terminal import show_table

    if show:
        show_table(rows)
    write_parquet(rows, folder / "rows.parquet")
    write_report(list(rows), folder / "report.html", command=line)
    if show:
        for name, what in (("rows.parquet", "rows"), ("report.html", "report")):
            print(f"{what}: {folder / name}")


def report_command(source: Path, out: Path | None, as_json: bool) -> None:
    """The table and the page again, of a run also rows.parquet; published rows stay as they are."""
    from gradbench.bench.load import load_rows
    from gradbench.bench.store import read_plan, write_parquet
    from gradbench.report.html import write_report
    from gradbench.report.terminal import show_table

    rows, folder = load_rows(source, strict=False), source if source.is_dir() else source.parent
    if not rows:
        raise ValueError(f"no rows in {str(source)!r}: a folder that `gradbench run --out` wrote has rows-*.jsonl")
    files = {}
    if any(folder.glob("rows-*.jsonl")):
        write_parquet(rows, folder / "rows.parquet")
        files["parquet"] = str(folder / "rows.parquet")
    plan = read_plan(folder) or {}
    files["report"] = str(write_report(rows, out or folder / "report.html", command=plan.get("command") or ""))
    if as_json:
        print(json.dumps({"folder": str(folder), "rows": len(rows), **files}, indent=2))
        return
    show_table(rows)
    for name, place in files.items():
        print(f"{name}: {place}")


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
