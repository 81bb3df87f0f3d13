"""What a person sees in the terminal: a bar while cells run, and a table at the end."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any


class Progress:
    """A bar on a terminal, and nothing but a line at the end elsewhere; used as a context."""

    def __init__(self, total: int, kept: int) -> None:
        self.total, self.kept = total, kept
        self.counts: Counter[str] = Counter()
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty() and self.total:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=self.total)
            self._bar.start()
        return self

    def row(self, row: dict[str, Any]) -> None:
        """One cell has ended."""
        self.counts[row["status"]] += 1
        if self._bar is not None:
            text = f"{row['case']} {row['sampler']} {row['steps']} {row['estimator']}: {row['status']}"
            self._bar.update(self._task, advance=1, description=text)

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
        said = ", ".join(f"{count} {status}" for status, count in self.counts.items()) or "none to run"
        kept = f"; {self.kept} had rows already" if self.kept else ""
        print(f"{sum(self.counts.values())} of {self.total} cells: {said}{kept}", file=sys.stderr)


def show_table(rows: Sequence[dict[str, Any]]) -> None:
    """The medians of every cell: error against the best reference that is known, work, time and memory."""
    from rich.console import Console
    from rich.table import Table

    from gradbench.analysis.table import table
    from gradbench.analysis.units import MIB

    console = Console(markup=False, highlight=False)
    shown = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    words = ("case", "sampler", "estimator", "status")
    for head in (
        "case",
        "sampler",
        "N",
        "estimator",
        "status",
        "x_T",
        "condition",
        "params",
        "NFE",
        "VJP",
        "ms",
        "MiB",
    ):
        left = head in words
        shown.add_column(head, justify="left" if left else "right", overflow="fold", no_wrap=not left)
    for line in table(list(rows)):
        shown.add_row(
            *(str(line[name]) for name in ("case", "sampler", "steps", "estimator", "status")),
            *(_error(line, target) for target in ("x_T", "condition", "parameters")),
            _format(line, ("nfe_forward", "nfe_backward"), lambda forward, backward: f"{forward:.0f}+{backward:.0f}"),
            _format(line, ("vjps",), lambda vjps: f"{vjps:.0f}"),
            _format(line, ("time_s",), lambda seconds: f"{1e3 * seconds:.1f}"),
            _format(line, ("peak_bytes",), lambda size: f"{size / MIB:.3g}"),
        )
    console.print(shown)
    console.print("errors: relative L2 against the exact flow's gradient, or (s) the sampler's where no flow is known")


def _format(line: dict[str, Any], names: tuple[str, ...], form: Callable[..., str]) -> str:
    values = [line[name] for name in names]
    return "" if None in values else form(*values)


def _error(line: dict[str, Any], target: str) -> str:
    for kind, mark in (("flow", ""), ("sampler", "s")):
        value = line.get(f"{kind}_error_{target}")
        if value is not None:
            return f"{value:.1e}{mark}" if value >= 1e-12 else f"<1e-12{mark}"
    return ""
