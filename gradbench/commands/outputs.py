"""The outputs of a run besides its rows: the table in the terminal, rows.parquet and report.html."""

from collections.abc import Sequence
from pathlib import Path

from gradbench.bench.progress import Doing
from gradbench.bench.row import Row
from gradbench.bench.store import write_parquet


def write_outputs(rows: Sequence[Row], folder: Path, line: str, show: bool = True) -> None:
    """The table in the terminal, rows.parquet and report.html. line: the command, as shown on the page."""
    from gradbench.report.html import write_report
    from gradbench.report.terminal import show_table

    if show:
        show_table(rows)
    with Doing(f"report of {len(rows):,} rows"):
        write_parquet(rows, folder / "rows.parquet")
        write_report(list(rows), folder / "report.html", command=line, curves=folder / "curves")
    if show:
        for name, what in (("rows.parquet", "rows"), ("report.html", "report")):
            print(f"{what}: {folder / name}")
