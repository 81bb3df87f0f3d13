"""What a user sees at the end: medians per cell within 100 columns, with the best of each block marked."""

import sys
from collections.abc import Sequence
from typing import Any

from gradbench.analysis.answer import answer, outcome
from gradbench.analysis.cells import cells, table
from gradbench.analysis.courses import courses, is_task
from gradbench.analysis.labels import broken
from gradbench.analysis.rankings import TIE
from gradbench.analysis.rows import is_finite
from gradbench.analysis.standings import contests, settings
from gradbench.bench.row import Row
from gradbench.problems.spec import TARGETS
from gradbench.report.courses import show_courses

WIDTH, NUMBERS = 100, 62  # columns of the terminal, and those that the numbers take
LINES_SHOWN = 120  # lines of tables shown
COURSES_SHOWN = 24  # of tasks
HEADS = ("x_T", "condition", "params", "NFE", "VJP", "ms", "MiB")
MARKS = {"flow": "", "sampler": "s", "expected": "e"}
NOTES = (
    "* best of its block, within 1 %. Errors: relative L2 against the gradient of the exact flow (for a stochastic "
    "chain, of the exact reverse SDE on the same path), or (s) against the sampler's own where that is not known; for "
    "estimators that draw, (e) against the expected gradient, including their own spread, and work and time are "
    "those of one draw. <1e-12 is the floor of the reference."
)

Line = dict[str, Any]


def show_table(rows: Sequence[Row]) -> None:
    """A block per (case, sampler, steps, dtype): errors, work, time and memory; reasons below it; then the tasks.

    If the former exceed `LINES_SHOWN` lines, the answer alone.
    """
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    console.width = min(WIDTH, console.width) if sys.stdout.isatty() else WIDTH
    name = max(console.width - NUMBERS, 16)
    found = courses(rows)
    rows = [row for row in rows if not is_task(row)]
    if rows:
        _show_cells(rows, console, name)
    if found:
        show_courses(found, console, name, COURSES_SHOWN)


def _show_cells(rows: Sequence[Row], console: Any, name: int) -> None:
    from rich.table import Table
    from rich.text import Text

    blocks: dict[tuple[str, ...], list[Line]] = {}
    for line in table(rows):
        blocks.setdefault((line["case"], line["sampler"], f"{line['steps']} steps", line["dtype"]), []).append(line)
    if sum(map(len, blocks.values())) > LINES_SHOWN:
        _say_answer(rows, len(blocks), console)
        return
    for names, block in blocks.items():
        shown = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
        shown.add_column("estimator", min_width=name, overflow="fold")
        for head in HEADS:
            shown.add_column(head, justify="right", no_wrap=True)
        marks = best(block)
        for index, line in enumerate(block):
            texts = _texts(line, {column for at, column in marks if at == index})
            cells = (Text(text, style="bold" if text.startswith("*") else "") for text in texts)
            shown.add_row(broken(line["estimator"], name), *cells)
        console.print("  ".join(names), style="bold")
        console.print(shown)
        for line in block:
            if line["reason"]:
                console.print(f"  {line['estimator']}: {line['status']}: {line['reason']}")
        console.print()
    console.print(NOTES)


def _say_answer(rows: Sequence[Row], blocks: int, console: Any) -> None:
    """The answer for many rows in three sentences, instead of a table that nobody would read."""
    found = cells(rows)
    console.print(f"{outcome(rows)}\n")
    for head, sentence in answer(found, contests(settings(found))).sentences:
        console.print(f"{head}: {sentence}\n")
    console.print(
        f"The tables of {blocks} problems are in the report; smaller runs, such as `-c gaussian`, show theirs here."
    )


def best(block: Sequence[Line]) -> set[tuple[int, str]]:
    """(index, column) of the best cells of a block, within 1 %: errors, time_s and peak_bytes.

    Errors compete only with those against the same reference. Nothing without a rival is marked.
    """
    measured = [index for index, line in enumerate(block) if line["n_ok"]]
    races = [(column, {i: block[i][column] for i in measured}) for column in ("time_s", "peak_bytes")]
    for target in TARGETS:
        errors = {i: error for i in measured if (error := _error(block[i], target))}
        races += [(target, {i: value for i, (k, value, _) in errors.items() if k == kind}) for kind in MARKS]
    return {(i, column) for column, values in races for i in _least(values)}


def _least(values: dict[int, float | None]) -> list[int]:
    """Indices of the values within 1 % of the least; none without a rival."""
    known = {i: v for i, v in values.items() if v is not None}
    least = min(known.values(), default=0.0)
    return [i for i, v in known.items() if v <= TIE * least and is_finite(v)] if len(known) > 1 else []


def _error(line: Line, target: str) -> tuple[str, float, bool] | None:
    """Reference, error raised to its floor, and whether it is at the floor, of the first reference that is known."""
    for kind in MARKS:
        value = line.get(f"{kind}_error_{target}")
        if value is not None:
            floor = line.get(f"{kind}_tol") or 0.0
            return kind, max(value, floor), value <= floor
    return None


def _texts(line: Line, starred: set[str]) -> list[str]:
    """The numbers of one line, with a star before those in `starred`."""
    if not line["n_ok"]:
        return [line["status"], *[""] * (len(HEADS) - 1)]
    numbers = {
        **{target: _error_text(_error(line, target)) for target in TARGETS},
        "nfe": f"{_count(line['nfe_forward'])}+{_count(line['nfe_backward'])}",
        "vjps": _count(line["vjps"]),
        "time_s": "" if line["time_s"] is None else f"{1e3 * line['time_s']:.1f}",
        "peak_bytes": "" if line["peak_bytes"] is None else f"{line['peak_bytes'] / 2**20:.3g}",
    }
    return [f"*{number}" if column in starred else number for column, number in numbers.items()]


def _count(number: float) -> str:
    """A mean number of evaluations to a tenth, a whole one as it is."""
    return f"{number:.1f}".removesuffix(".0")


def _error_text(error: tuple[str, float, bool] | None) -> str:
    if error is None:
        return ""
    kind, value, floored = error
    return (f"<{value:.0e}" if floored else f"{value:.1e}") + MARKS[kind]
