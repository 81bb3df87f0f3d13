"""python -m studies.pages [--check]: rewrites the pages of published rows, or prints which would differ.

A template of studies/pages/templates is a page, or the part of a page between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from studies.pages import formats
from studies.pages.cards import PATTERN, cards
from studies.pages.claims import claims
from studies.pages.ddim import ddim
from studies.pages.headline import headline
from studies.pages.published import FEWEST, Published
from studies.pages.questions import questions

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "results" / "published"
RUNS = [
    FOLDER / f"{name}-cpu" for name in ("2026-11-24-full", "2026-11-27-full", "2026-11-28-emoji")
]  # the later counts
TASKS = [FOLDER / "2026-11-28-tasks-sweep-cpu", FOLDER / "2026-11-28-tasks-cpu"]
DDIM = ROOT / "docs" / "findings" / "ddim.json"
PREDICTED = FOLDER / "2026-11-27-predict-sd15.json"
PREDICTED_GPU = FOLDER / "2026-11-27-predict-gpu.json"
PAGES = {
    "findings.md.j2": ROOT / "docs" / "findings" / "index.md",
    "choose.md.j2": ROOT / "docs" / "guide" / "choose.md",
    "gpu.md.j2": ROOT / "docs" / "findings" / "gpu.md",
}
CLAIMS = {"claims.md.j2": ROOT / "docs" / "findings" / "claims.md"}  # once the suite of tasks was run
PARTS = {"readme.md.j2": ROOT / "README.md"}  # NAME is the template's name before its first dot


def written(
    runs: Sequence[Path], fewest: int = FEWEST, on_cards: Sequence[Path] = tuple(sorted(FOLDER.glob(PATTERN)))
) -> dict[Path, str]:
    """The text of every page, by its file; `fewest` below 3 tries the templates on a run of few seeds.

    on_cards: folders of GPU rows; without any, their numbers are predicted.
    """
    rows = Published(runs, fewest)
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {"runs": rows.runs, **questions(rows, json.loads(PREDICTED.read_text())), **headline(rows)}
    made.globals |= cards(on_cards, PREDICTED_GPU)
    pages = dict(PAGES)
    if all(path.exists() for path in (*TASKS, DDIM)):
        optimised = Published(TASKS, fewest)
        made.globals |= {"task_runs": optimised.runs, **claims(optimised.runs[-1].rows)}
        made.globals |= ddim(json.loads(DDIM.read_text()))
        pages |= CLAIMS
    made.filters |= formats.FILTERS
    texts = {place: made.get_template(name).render() for name, place in pages.items()}
    for name, place in PARTS.items():
        texts[place] = _between(place.read_text(), name.partition(".")[0], made.get_template(name).render())
    return texts


def _between(text: str, name: str, part: str) -> str:
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise SystemExit(f"a page must have {start.strip()} and {end} once")
    return re.sub(f"(?s)(?<={re.escape(start)}).*(?={re.escape(end)})", lambda _: part, text)


def main() -> int:
    """Writes the pages; with --check nothing is written, and the exit code is 1 if one would differ."""
    parser = argparse.ArgumentParser(prog="python -m studies.pages", description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    texts = written(RUNS)
    changed = [place for place, text in texts.items() if not place.exists() or place.read_text() != text]
    for place in changed:
        print(f"{place.relative_to(ROOT)}: {'is not what its rows say: run make pages' if check else 'written'}")
        if not check:
            place.write_text(texts[place])
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
