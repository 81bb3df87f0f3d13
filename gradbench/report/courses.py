"""The tables of tasks, in the terminal and on the page: what each estimator's updates did, and what they cost."""

from collections.abc import Sequence
from typing import Any

from gradbench.analysis.courses import Course, Mean, blocks
from gradbench.analysis.labels import broken

HEADS = ("objective", "held-out", "cosine", "NFE", "queries", "s", "MiB")
NOTE = (
    "Tasks: objective and held-out score after the updates, mean over seeds with the half-width of its 95% interval; "
    "the score before them is in the heading. cosine: of the estimates with the exact gradient. NFE: network "
    "evaluations of one sample each, in all. MiB: peak of one estimate."
)


def show_courses(found: Sequence[Course], console: Any, width: int, most: int) -> None:
    """A block per task, sampler and number of steps; a line for each if there are more than `most` courses."""
    from rich.table import Table

    if len(found) > most:
        for names, block in blocks(found).items():
            console.print("  ".join(names), style="bold")
            console.print(f"  {_ends(block)}")
        console.print("\nEvery estimator, its costs and its course are in the report.")
        return
    for names, block in blocks(found).items():
        shown = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
        shown.add_column("estimator", min_width=width, overflow="fold")
        for head in HEADS:
            shown.add_column(head, justify="right", no_wrap=True)
        for course in block:
            shown.add_row(broken(course.label, width), *texts(course))
        console.print("  ".join(names), style="bold")
        if (said := before(block)) is not None:
            console.print(f"  {said}")
        console.print(shown)
        for course in block:
            if course.cell.reason:
                console.print(f"  {course.label}: {course.cell.status}: {course.cell.reason}")
        console.print()
    console.print(NOTE)


def _ends(block: Sequence[Course]) -> str:
    """The scores before the updates, and the range of those after them."""
    said = list[str]()
    for score in ("objective", "held_out"):
        ends = [mean.value for course in block if (mean := course.mean(f"last_{score}")) is not None]
        first = next((m for course in block if (m := course.mean(f"first_{score}")) is not None), None)
        if ends:
            said.append(f"{score.replace('_', '-')} {number(first)} before, {min(ends):.3g} to {max(ends):.3g} after")
    failed = sum(not course.cell.measured for course in block)
    return f"{len(block)} courses: {'; '.join(said) or 'none succeeded'}" + (f"; {failed} failed" if failed else "")


def before(block: Sequence[Course]) -> str | None:
    """The scores before the first update, which are those of every course of a block; None if none succeeded."""
    first = next((course for course in block if course.cell.measured), None)
    if first is None:
        return None
    return f"before: objective {number(first.mean('first_objective'))}, held-out {number(first.mean('first_held_out'))}"


def texts(course: Course) -> list[str]:
    """The numbers of one line."""
    if not course.cell.measured:
        return [course.cell.status, *[""] * (len(HEADS) - 1)]
    cost = {column: course.mean(f"optimise_{column}") for column in ("cosine", "evaluations", "queries", "s")}
    peak = course.mean("peak_bytes")
    return [
        with_interval(course.mean("last_objective")),
        with_interval(course.mean("last_held_out")),
        "" if cost["cosine"] is None else f"{cost['cosine'].value:.2f}",
        *("" if (mean := cost[name]) is None else f"{mean.value:,.0f}" for name in ("evaluations", "queries")),
        "" if cost["s"] is None else f"{cost['s'].value:.1f}",
        "" if peak is None else f"{peak.value / 2**20:.3g}",
    ]


def with_interval(mean: Mean | None) -> str:
    """A mean and its half-width."""
    if mean is None:
        return ""
    return number(mean) + ("" if mean.half is None else f"±{mean.half:.2g}")


def number(mean: Mean | None) -> str:
    """A mean to three digits."""
    return "" if mean is None else f"{mean.value:.3g}"
