"""The verb `status`: what happened in a folder of rows, and what to type next. No torch."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gradbench.bench.columns import FINE, STATUSES
from gradbench.bench.load import load_rows
from gradbench.bench.store import Store
from gradbench.checks import UsageError
from gradbench.commands.options import json_option
from gradbench.measure.environment import fingerprint_of
from gradbench.problems.folders import folders

REASONS_SHOWN = 10  # reasons of failures shown


def summary(folder: Path) -> Mapping[str, Any]:
    """Planned, done, failed, missing and stale cells of a folder, and the reasons of the failures.

    Published rows, a file or a folder of rows.parquet, have no plan: all existing ones count as planned.
    """
    running = any(folder.glob("rows-*.jsonl")) or (folder / "plan.json").exists()
    if not (running or folder.is_file() or (folder / "rows.parquet").is_file()):
        raise UsageError(
            f"no rows and no plan in {str(folder)!r}: name a folder that `gradbench run --out` wrote, or published rows"
        )
    plan = Store(folder).plan() if running else None
    found = Store(folder).rows() if running else load_rows(folder, strict=False)
    rows = {row.key: row for row in found}
    cells = [(c["cell_id"], c["replicate"]) for c in plan["cells"]] if plan else list(rows)
    mine = [rows[key] for key in cells if key in rows]
    expected = (*FINE, *(plan or {}).get("expects", ()))
    failed = [row for row in mine if row["status"] not in expected]
    return {
        "folder": str(folder),
        "suite": (plan or {}).get("suite"),
        "command": (plan or {}).get("command"),
        "planned": len(cells),
        "done": len(mine) - len(failed),
        "failed": len(failed),
        "missing": len(cells) - len(mine),
        "left": (plan or {}).get("left"),
        "stale": sum(row.get("fingerprint") != fingerprint_of(row, tuple(folders())) for row in mine),
        "statuses": {s: n for s in STATUSES if (n := sum(row["status"] == s for row in mine))},
        "failures": [
            {name: row.get(name) for name in ("cell_id", "replicate", "case", "estimator", "status", "phase", "reason")}
            for row in failed
        ],
    }


@click.command()
@click.argument("folder", default="runs/latest", type=click.Path(path_type=Path))
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Tell which cells of a plan or of published rows are done, failed, missing or stale, and what to type."""
    found = summary(folder)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{folder}: " + ", ".join(f"{found[name]:,} {name}" for name in ("planned", "done", "failed", "missing")))
    print("  " + (", ".join(f"{n:,} {s}" for s, n in found["statuses"].items()) or "no rows yet"))
    if found["missing"] and found["left"]:
        left, budget = min(found["left"]["cells"], found["missing"]), found["left"]["budget"]
        print(f"  {left:,} of the missing were predicted to end outside the budget of {budget:g} s")
    reasons = Counter((f["status"], f["phase"] or "", f["reason"] or "") for f in found["failures"])
    for (status, phase, reason), count in reasons.most_common(REASONS_SHOWN):
        print(f"  {count} x {status} in {phase}: {reason}")
    if len(reasons) > REASONS_SHOWN:
        print(f"  and {len(reasons) - REASONS_SHOWN} other reasons, in --json")
    logs = folder / "logs"
    if found["failures"] and logs.is_dir():
        print("  log of the first: {}".format(logs / "{cell_id}-{replicate}.txt".format(**found["failures"][0])))
    if found["stale"]:
        again = "; measure them again with --rerun all" if found["command"] else ""
        print(f"  {found['stale']:,} rows were made by different code{again}")
    if found["command"]:
        if found["missing"]:
            print(f"to resume:          {found['command']}")
        if found["failed"]:
            print(f"to try again:      {found['command']} --rerun failed")
    print(f"to see the report: gradbench report {folder}")
