"""The verb `merge`: joins the rows of several folders in one."""

import json
from pathlib import Path

import click

from gradbench.bench.row import Row
from gradbench.bench.store import Store, latest, read_rows, write_parquet
from gradbench.checks import UsageError
from gradbench.commands.options import json_option
from gradbench.commands.outputs import write_outputs


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Output folder.")
@json_option
def merge(folders: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Join the rows of several folders, of one machine or many; for a cell measured twice the last counts."""
    for folder in folders:
        if not any(folder.glob("rows-*.jsonl")):
            raise UsageError(f"no rows in {str(folder)!r}: name folders that `gradbench run --out` wrote")
    store = Store(out)
    store.lock()
    kept: dict[str, list[Row]] = {}
    for folder in [*folders, *([out] if any(out.glob("rows-*.jsonl")) else [])]:
        for row in read_rows(folder):
            kept.setdefault(row.get("machine_id") or "", []).append(row)
    for machine, rows in kept.items():
        lines = "".join(json.dumps(row) + "\n" for row in latest(rows))
        temporary = out / f".merge-{machine}"
        temporary.write_text(lines)
        temporary.replace(out / f"rows-{machine}-merged.jsonl")
    for shard in out.glob("rows-*.jsonl"):
        if not shard.name.endswith("-merged.jsonl"):
            shard.unlink()
    everything = [row for rows in kept.values() for row in latest(rows)]
    write_parquet(everything, out / "rows.parquet")
    write_outputs(everything, out, "", show=False)
    if as_json:
        told = {"folders": [str(folder) for folder in folders], "out": str(out), "parquet": str(out / "rows.parquet")}
        print(json.dumps(told | {"rows": len(everything), "machines": sorted(kept)}, indent=2))
        return
    print(f"{len(everything)} rows of {len(kept)} machines from {len(folders)} folders: {out / 'rows.parquet'}")
