"""The verb `reference`: every kind of reference computed in two ways, and the stored ones checked against the first."""

import json
from typing import TYPE_CHECKING, Any

import click

from gradbench import checks
from gradbench.bench.progress import Doing
from gradbench.checks import UsageError
from gradbench.commands.completing import names as names_of
from gradbench.commands.options import cases_option, json_option
from gradbench.exits import Exit
from gradbench.problems.case import make_case
from gradbench.problems.folders import case_specs

if TYPE_CHECKING:
    from gradbench.references.verify import Check


@click.command()
@click.argument("names", nargs=-1, metavar="[CASE]...", shell_complete=names_of("cases"))
@click.option("--verify", is_flag=True, help="Compute every reference in two ways; exit code 1 if they disagree.")
@click.option("--write", "write_them", is_flag=True, help="Then store the references of the cases' default problems.")
@json_option
@cases_option
def reference(names: tuple[str, ...], verify: bool, write_them: bool, as_json: bool) -> Exit:
    """Verify the exact references of all cases, or of those given."""
    if not (verify or write_them):
        raise UsageError("reference needs --verify, --write or both")
    import torch

    from gradbench.references.verify import STORED, checks_of, stored_disagreement, write

    known = case_specs()
    for name in names:
        checks.one_of("case", name, known)
    torch.set_num_threads(1)
    lines, failed = [], 0
    # full-size networks are verified only if named: float64 takes 7 GB and minutes per gradient; a task's chain is that
    # of its model
    small = [name for name, spec in known.items() if spec.reference_dtype == "float64" and spec.task is None]
    with Doing("reference") as doing:
        for name in names or sorted(small):
            found = []
            doing.at(f"{name}, the first of its chains")
            for check in checks_of(make_case(name, {})):
                found.append(check)
                doing.at(f"{name}, behind {check.chain} the {check.kind} gradient is computed twice")
                if not as_json:
                    print(_text(check), flush=True)
            failed += sum(not check.passed for check in found)
            if write_them:
                write(known[name], found)
            stored = stored_disagreement(known[name], found)
            failed += stored is not None and not stored <= STORED
            lines += [_line(check, stored) for check in found]
            if not as_json:
                print(f"{name}: stored references " + ("none" if stored is None else f"within {stored:.0e} of these"))
    if as_json:
        print(json.dumps(lines, indent=2))
    else:
        print("all agree" if not failed else f"{failed} disagree")
    return Exit.FAILED if failed else Exit.OK


def _line(check: "Check", stored: float | None) -> dict[str, Any]:
    values = {"agreement": check.agreement, "allowed": check.allowed, "tolerance": check.first.tol, "stored": stored}
    names = {"case": check.case, "chain": check.chain, "kind": check.kind, "first": check.first.method}
    return {**names, "second": check.other, **values, "passed": check.passed, "digest": check.first.digest}


def _text(check: "Check") -> str:
    mark = "ok  " if check.passed else "FAIL"
    numbers = f"{check.agreement:.1e} of {check.allowed:.0e}"
    return f"{mark} {check.case:<16} {check.chain:<16} {check.kind:<9} {numbers}  {check.first.method} / {check.other}"
