"""What a person sees in the terminal: a bar while cells run, and a table at the end."""

import sys
from collections import Counter
from collections.abc import Sequence
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
    """The medians of every cell, a block a (case, sampler, steps): error, work, time and memory; reasons below."""
    from rich.console import Console
    from rich.table import Table

    from gradbench.analysis.table import table

    lines = table(list(rows))
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 120)
    width = max((len(line["estimator"]) for line in lines), default=0)
    blocks: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for line in lines:
        blocks.setdefault((line["case"], line["sampler"], f"{line['steps']} steps", line["dtype"]), []).append(line)
    for names, block in blocks.items():
        shown = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
        shown.add_column("estimator", min_width=min(width, 44), overflow="fold")
        for head in HEADS:
            shown.add_column(head, justify="right", no_wrap=True, min_width=7)
        for line in block:
            shown.add_row(line["estimator"], *_numbers(line))
        console.print("  ".join(names), style="bold")
        console.print(shown)
        for line in block:
            if line["reason"]:
                console.print(f"  {line['estimator']}: {line['status']}: {line['reason']}")
        console.print()
    console.print("errors: relative L2 against the gradient of the exact flow (of a stochastic chain: of the exact")
    console.print("reverse SDE on the same path), or (s) against the sampler's own where that is not known; of")
    console.print("estimators that draw (e) against the expected gradient, their own spread included")


HEADS = ("x_T", "condition", "params", "NFE", "VJP", "ms", "MiB")


def _numbers(line: dict[str, Any]) -> list[str]:
    if not line["n_ok"]:
        return [line["status"], *[""] * (len(HEADS) - 1)]
    return [
        *(_error(line, target) for target in ("x_T", "condition", "parameters")),
        f"{line['nfe_forward']:.0f}+{line['nfe_backward']:.0f}",
        f"{line['vjps']:.0f}",
        f"{1e3 * line['time_s']:.1f}",
        f"{line['peak_bytes'] / 2**20:.3g}",
    ]


def _error(line: dict[str, Any], target: str) -> str:
    for kind, mark in (("flow", ""), ("sampler", "s"), ("expected", "e")):
        value = line.get(f"{kind}_error_{target}")
        if value is not None:
            floor = line.get(f"{kind}_tol") or 0.0
            return f"{value:.1e}{mark}" if value > floor else f"<{floor:.0e}{mark}"
    return ""
