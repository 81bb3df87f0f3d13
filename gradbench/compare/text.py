"""A comparison as text for a terminal, Markdown for a pull request, and JSON for tools."""

import json
import math
import statistics
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict

from gradbench.analysis.labels import cell_names
from gradbench.analysis.words import counted, seconds
from gradbench.bench.row import Row
from gradbench.command import command
from gradbench.compare.finding import MARKS, Comparison, Finding
from gradbench.data import Json

WIDTH = 100
CELLS, EACH = 20, 4  # cells, and findings per cell, that are spelled out; JSON has all
SEEN = ("!", "+", "~", "-", "*")


def to_text(found: Comparison, names: tuple[str, str]) -> str:
    """For a terminal, within 100 columns."""
    labels = _labels(found)
    lines = [piece for line in _origins(found, names) for piece in _wrap(line, "  ")]
    lines += [f"compared in cells: {_compared(found)}", ""]
    shown = _by_cell(found.marked(*SEEN))
    for findings in shown[:CELLS]:
        lines += _wrap(labels[findings[0].cell["cell_id"]], "")
        for finding in findings[:EACH]:
            lines += _wrap(f"  {finding.mark} {sentence(finding)}", "      ")
        if len(findings) > EACH:
            lines.append(f"    and {len(findings) - EACH} more columns")
    if len(shown) > CELLS:
        lines.append(f"and {len(shown) - CELLS} more cells, see --json")
    lines += [""] if shown else []
    for (metric, note), cells in found.refused().items():
        lines += _wrap(f"x {metric} of {counted(len(cells), 'cell')}: {note}", "    ")
    for side, cells in (("BASE", found.missing), ("NEW", found.added)):
        lines += _listed(side, [labels[cell["cell_id"]] for cell in cells])
    lines += _wrap(_power(found), "") + _wrap(headline(found), "")
    return "\n".join(lines) + "\n"


def to_markdown(found: Comparison, names: tuple[str, str]) -> str:
    """For a comment on a pull request."""
    labels = _labels(found)
    lines = [f"### gradbench: {headline(found)}", "", *(f"- {line}" for line in _origins(found, names))]
    lines += [f"- compared in cells: {_compared(found)}", *(f"- {line}" for line in [_power(found)] if line)]
    bad, good = found.marked("!", "+", "~"), found.marked("-", "*")
    lines += _table(bad, labels)
    rest = [
        f"- x {metric} of {counted(len(cells), 'cell')}: {note}" for (metric, note), cells in found.refused().items()
    ]
    for side, cells in (("BASE", found.missing), ("NEW", found.added)):
        rest += [f"- {line.strip()}" for line in _listed(side, [labels[cell["cell_id"]] for cell in cells])]
    if good or rest:
        lines += ["", "<details><summary>Better, fixed, not comparable, missing, new</summary>"]
        lines += [*_table(good, labels), "", *rest, "", "</details>"]
    return "\n".join(lines) + "\n"


def to_json(found: Comparison, names: tuple[str, str]) -> str:
    """For tools: every finding with its cell and the command that measures it again."""
    labels = _labels(found)

    def cell(row: Row) -> Json:
        return {"cell_id": row["cell_id"], "cell": labels[row["cell_id"]]}

    def entry(finding: Finding) -> Json:
        fields = {name: getattr(finding, name) for name in ("metric", "column", "base", "new", "ratio", "p", "note")}
        word = {"mark": finding.mark, "meaning": MARKS[finding.mark], "regression": finding.regression}
        return {**word, **_finite(fields), **cell(finding.cell), "command": command(finding.cell)}

    content = {
        "verdict": found.verdict,
        "exit_code": found.exit_code,
        "factor": found.factor,
        "base": {"name": names[0], **asdict(found.base)},
        "new": {"name": names[1], **asdict(found.new)},
        "compared": dict(found.compared),
        "findings": [entry(finding) for finding in found.marked(*SEEN)],
        "not_comparable": [
            {"metric": metric, "note": note, "cells": [cell(row) for row in cells]}
            for (metric, note), cells in found.refused().items()
        ],
        "missing": [cell(row) for row in found.missing],
        "added": [cell(row) for row in found.added],
        "minimum_detectable_change": found.detectable,
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Comparison, tuple[str, str]], str]] = {
    "text": to_text,
    "markdown": to_markdown,
    "json": to_json,
}


def headline(found: Comparison) -> str:
    """The verdict in one line: "regression: 2 cells newly failing, 1 worse"."""
    if not any(found.compared.values()):
        return f"{found.verdict}: " + ("every common cell was refused" if found.cells else "no cell in common")
    counts = {mark: len({finding.cell["cell_id"] for finding in found.marked(mark)}) for mark in SEEN}
    said = ", ".join(f"{counted(count, 'cell')} {MARKS[mark]}" for mark, count in counts.items() if count)
    return f"{found.verdict}: {said or 'no cell changed'}"


def sentence(finding: Finding) -> str:
    """Column, both values, change and p-value: "time_s 12.1 ms -> 14.6 ms, x1.21, p = 0.0003"."""
    change = f"{finding.column} {_value(finding, finding.base)} -> {_value(finding, finding.new)}"
    p = None if finding.p is None else f"p = {finding.p:.2g}"
    return ", ".join(filter(None, [change, _ratio(finding.ratio), p, finding.note]))


def _value(finding: Finding, value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or "none"
    if finding.metric == "time":
        return seconds(value)
    return f"{value:,.0f}" if finding.metric in ("nfe", "memory") else f"{value:.8g}"


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"x{ratio:.3g}" if abs(ratio - 1) >= 0.01 else f"{100 * (ratio - 1):+.2g}%"


def _labels(found: Comparison) -> dict[str, str]:
    return cell_names([*found.cells, *found.missing, *found.added])


def _origins(found: Comparison, names: tuple[str, str]) -> list[str]:
    """One line per side: its name, cell count, and what made them."""
    lines = []
    for side, name, of in (("BASE", names[0], found.base), ("NEW", names[1], found.new)):
        commit = [commit[:10] for commit in of.git_commit]
        made = {"torch": of.torch, "gradbench": commit or of.gradbench, "on": of.machine_class}
        said = [f"{word} {' and '.join(values)}" for word, values in made.items() if values]
        lines.append(", ".join([f"{side} {name}: {counted(of.cells, 'cell')}", f"{of.rows} rows", *said]))
    return lines


def _compared(found: Comparison) -> str:
    return ", ".join(f"{metric} {count}" for metric, count in found.compared.items()) or "none"


def _power(found: Comparison) -> str:
    """What slowdown would have been found."""
    if not found.detectable:
        return ""
    middle, most = statistics.median(found.detectable.values()), max(found.detectable.values())
    return f"a slowdown of x{middle:.3g} is found 4 times in 5 in the median cell, of x{most:.3g} in the noisiest"


def _by_cell(findings: Sequence[Finding]) -> list[list[Finding]]:
    gathered: dict[str, list[Finding]] = {}
    for finding in findings:
        gathered.setdefault(finding.cell["cell_id"], []).append(finding)
    return list(gathered.values())


def _listed(side: str, names: Sequence[str]) -> list[str]:
    """The cells that only one side has, the first few by name."""
    if not names:
        return []
    head = f"only in {side}: {counted(len(names), 'cell')}"
    if len(names) > EACH:
        return [f"{head}, see --json"]
    return [head, *(line for name in names for line in _wrap(f"  {name}", "      "))]


def _table(findings: Sequence[Finding], labels: dict[str, str]) -> list[str]:
    """One line per cell, its findings stacked."""
    if not findings:
        return []
    lines = ["", "| cell | change |", "|---|---|"]
    cells = _by_cell(findings)
    for group in cells[:CELLS]:
        said = [f"`{finding.mark}` {sentence(finding)}" for finding in group[:EACH]]
        said += [f"and {len(group) - EACH} more columns"] if len(group) > EACH else []
        words = (labels[group[0].cell["cell_id"]], "<br>".join(said))
        lines.append("| " + " | ".join(" ".join(word.split()).replace("|", "\\|") for word in words) + " |")
    return [*lines, *([f"\nand {len(cells) - CELLS} more cells"] if len(cells) > CELLS else [])]


def _wrap(line: str, indent: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _finite(fields: Json) -> Json:
    """Fields for JSON; infinity as a word."""
    return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in fields.items()}
