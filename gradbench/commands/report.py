"""The verb `report`: rebuilds the table and the page."""

import json
from pathlib import Path

import click

from gradbench.bench.load import load_rows
from gradbench.bench.progress import Doing
from gradbench.bench.store import read_plan, write_parquet
from gradbench.checks import UsageError
from gradbench.commands.options import json_option


@click.command()
@click.argument("source", metavar="FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Output file.")
@json_option
def report(source: Path, out: Path | None, as_json: bool) -> None:
    """Rebuild report.html of a run, or of published rows: FOLDER/report.html, or FILE.

    For a run, rows.parquet is rebuilt too; published rows stay as they are.
    """
    from gradbench.report.html import write_report
    from gradbench.report.terminal import show_table

    folder, files = source if source.is_dir() else source.parent, {}
    with Doing("report") as doing:
        doing.at("reading rows")
        rows = load_rows(source, strict=False)
        if not rows:
            raise UsageError(f"no rows in {str(source)!r}: a folder that `gradbench run --out` wrote has rows-*.jsonl")
        doing.at(f"writing the page of {len(rows):,} rows")
        if any(folder.glob("rows-*.jsonl")):
            write_parquet(rows, folder / "rows.parquet")
            files["parquet"] = str(folder / "rows.parquet")
        plan = read_plan(folder) or {}
        page, command = out or folder / "report.html", plan.get("command") or ""
        files["report"] = str(write_report(rows, page, command=command, curves=folder / "curves"))
    if as_json:
        print(json.dumps({"folder": str(folder), "rows": len(rows), **files}, indent=2))
        return
    show_table(rows)
    for name, place in files.items():
        print(f"{name}: {place}")
