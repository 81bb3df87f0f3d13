"""What happened in a folder of rows, and what to type next. No torch."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from gradbench.bench.load import load_rows
from gradbench.bench.runner import DONE
from gradbench.bench.schema import STATUSES
from gradbench.bench.store import Store, latest, read_rows, write_parquet
from gradbench.measure.environment import fingerprint_of
from gradbench.problems.folders import folders

MOST = 10  # reasons of failures that are shown


def summary(folder: Path) -> dict[str, Any]:
    """Planned, done, failed, missing and stale cells of a folder, and the reasons of the failures.

    Published rows, a file or a folder of rows.parquet, have no plan: all that are there were planned.
    """
    running = any(folder.glob("rows-*.jsonl")) or (folder / "plan.json").exists()
    if not (running or folder.is_file() or (folder / "rows.parquet").is_file()):
        raise ValueError(
            f"no rows and no plan in {str(folder)!r}: name a folder that `gradbench run --out` wrote, or published rows"
        )
    plan = Store(folder).plan() if running else None
    found = Store(folder).rows() if running else load_rows(folder, strict=False)
    rows = {(row["cell_id"], row["replicate"]): row for row in found}
    cells = [(c["cell_id"], c["replicate"]) for c in plan["cells"]] if plan else list(rows)
    mine = [rows[key] for key in cells if key in rows]
    expected = (*DONE, *(plan or {}).get("expects", ()))
    failed = [row for row in mine if row["status"] not in expected]
    return {
        "folder": str(folder),
        "suite": (plan or {}).get("suite"),
        "command": (plan or {}).get("command"),
        "planned": len(cells),
        "done": len(mine) - len(failed),
        "failed": len(failed),
        "missing": len(cells) - len(mine),
        "stale": sum(row.get("fingerprint") != fingerprint_of(row, tuple(folders())) for row in mine),
        "statuses": {s: n for s in STATUSES if (n := sum(row["status"] == s for row in mine))},
        "failures": [
            {name: row.get(name) for name in ("cell_id", "replicate", "case", "estimator", "status", "phase", "reason")}
            for row in failed
        ],
    }


def status_command(folder: Path, as_json: bool) -> None:
    """Tells a stranger what is there and what to type."""
    found = summary(folder)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{folder}: " + ", ".join(f"{found[name]:,} {name}" for name in ("planned", "done", "failed", "missing")))
    print("  " + (", ".join(f"{n:,} {s}" for s, n in found["statuses"].items()) or "no rows yet"))
    reasons = Counter((f["status"], f["phase"] or "", f["reason"] or "") for f in found["failures"])
    for (status, phase, reason), count in reasons.most_common(MOST):
        print(f"  {count} x {status} in {phase}: {reason}")
    if len(reasons) > MOST:
        print(f"  and {len(reasons) - MOST} other reasons, in --json")
    logs = folder / "logs"
    if found["failures"] and logs.is_dir():
        print("  log of the first: {}".format(logs / "{cell_id}-{replicate}.txt".format(**found["failures"][0])))
    if found["stale"]:
        again = "; measure them again with --rerun all" if found["command"] else ""
        print(f"  {found['stale']:,} rows were made by other code than this{again}")
    if found["command"]:
        if found["missing"]:
            print(f"to go on:          {found['command']}")
        if found["failed"]:
            print(f"to try again:      {found['command']} --rerun failed")
    print(f"to see the report: gradbench report {folder}")


def merge_command(folders: list[Path], out: Path, as_json: bool = False) -> None:
    """Joins the rows of several folders, of one machine or many, into OUT; of a cell measured twice the last counts."""
    from gradbench.commands.run import write_outputs

    for folder in folders:
        if not any(folder.glob("rows-*.jsonl")):
            raise ValueError(f"no rows in {str(folder)!r}: name folders that `gradbench run --out` wrote")
    store = Store(out)
    store.lock()
    kept: dict[str, list[dict[str, Any]]] = {}
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
