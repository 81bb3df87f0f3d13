"""python -m studies.pages [--check]: writes the pages of published rows again, or says which would differ.

A template of studies/pages/templates is a page, or what stands in a page between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from studies.pages import formats
from studies.pages.published import Published
from studies.pages.questions import questions

ROOT = Path(__file__).parents[2]
RUN = ROOT / "results" / "published" / "2026-11-24-full-cpu"
PREDICTED = ROOT / "results" / "published" / "2026-11-24-predict-sd15.json"
PAGES = {
    "findings.md.j2": ROOT / "docs" / "findings" / "index.md",
    "choose.md.j2": ROOT / "docs" / "guide" / "choose.md",
}
PARTS = {"readme.md.j2": ROOT / "README.md"}  # NAME is the template's name before its first dot


def written(run: Path) -> dict[Path, str]:
    """The text of every page, by its file."""
    rows = Published(run)
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {"name": rows.name, **questions(rows, json.loads(PREDICTED.read_text()))}
    made.filters |= formats.FILTERS
    texts = {place: made.get_template(name).render() for name, place in PAGES.items()}
    for name, place in PARTS.items():
        texts[place] = _between(place.read_text(), name.partition(".")[0], made.get_template(name).render())
    return texts


def _between(text: str, name: str, part: str) -> str:
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise SystemExit(f"a page must have {start.strip()} and {end} once")
    return re.sub(f"(?s)(?<={re.escape(start)}).*(?={re.escape(end)})", lambda _: part, text)


def main() -> int:
    """Writes the pages; with --check nothing is written, and the exit code is 1 where one would differ."""
    parser = argparse.ArgumentParser(prog="python -m studies.pages", description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    changed = [place for place, text in written(RUN).items() if not place.exists() or place.read_text() != text]
    for place in changed:
        print(f"{place.relative_to(ROOT)}: {'is not what its rows say: run make pages' if check else 'written'}")
        if not check:
            place.write_text(written(RUN)[place])
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
