"""python -m studies.mutants [--count 330] [--seed 0] [--jobs 2]: runs the mutants and writes docs/findings/mutants.md.

Verdicts are kept as they come; existing ones are not computed again.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from studies.mutants.candidates import sample
from studies.mutants.page import page
from studies.mutants.runner import verdicts, warm_up
from studies.mutants.stages import first_stage, second_stage

ROOT = Path(__file__).parents[2]
STAGES: dict[str, tuple[Callable[[str, Path], list[str]], int]] = {
    "first": (first_stage, 60),
    "second": (second_stage, 600),
}


def main() -> None:
    """Both stages, then the page."""
    parser = argparse.ArgumentParser(prog="python -m studies.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=330, help="mutants drawn, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    parser.add_argument("--kept", type=Path, default=ROOT / "build" / "mutants.jsonl", help="where verdicts are kept")
    parser.add_argument("--stage", choices=STAGES, help="only this stage, and no page; both by default")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "findings" / "mutants.md")
    options = parser.parse_args()
    try:
        mutants = sample(options.count, options.seed, ROOT)
    except ValueError as error:
        parser.error(str(error))
    os.nice(15)
    os.chdir(ROOT)
    options.kept.parent.mkdir(parents=True, exist_ok=True)
    kept = read(options.kept)
    for name in [options.stage] if options.stage else STAGES:
        arguments, limit = STAGES[name]
        waiting = [m for m in mutants if due(name, kept.get(m.key, {}))]
        if waiting:
            warm_up(list(dict.fromkeys(a for m in waiting for a in arguments(m.file, ROOT))), limit)
        for mutant, verdict, test in verdicts(waiting, arguments, ROOT, limit, options.jobs):
            line = {"mutant": mutant.key, "stage": name, "verdict": verdict, "test": test}
            with options.kept.open("a") as file:
                file.write(json.dumps(line) + "\n")
            kept.setdefault(mutant.key, {})[name] = line
            sys.stdout.write(f"{verdict}: {mutant.file}:{mutant.line} {test}\n")
            sys.stdout.flush()
    if options.stage is None:
        options.out.write_text(page(mutants, kept, options.seed, ROOT))


def read(place: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Verdict lines by mutant and stage; the latest counts."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for text in place.read_text().splitlines() if place.exists() else []:
        line = json.loads(text)
        found.setdefault(line["mutant"], {})[line["stage"]] = line
    return found


def due(stage: str, verdict: dict[str, dict[str, str]]) -> bool:
    """Whether a stage remains to be run: the second one only on survivors of the first."""
    if stage in verdict:
        return False
    return stage == "first" or verdict.get("first", {}).get("verdict") == "survived"


if __name__ == "__main__":
    main()
