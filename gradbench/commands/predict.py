"""The verb `predict`: peak memory of cells without running them, and the cards that hold them."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from gradbench.bench.plan import Planned, make_plan
from gradbench.bench.selection import Selection
from gradbench.bench.suite import Block, load_suite
from gradbench.bench.working import Working
from gradbench.checks import UsageError
from gradbench.commands.options import CELLS, anew_option, cases_option, json_option, suite_option, with_selection
from gradbench.data import Columns
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.exits import Exit
from gradbench.measure.cards import CARDS, GIB, WORKSPACES, cards_for
from gradbench.problems.folders import case_specs, weights_of
from gradbench.selector import render

MIB = 2**20


@click.command()
@suite_option("A suite to predict; other options replace parts of it.")
@CELLS
@anew_option
@json_option
@cases_option
@with_selection
def predict(selection: Selection, anew: bool, as_json: bool) -> Exit:
    """Predict peak memory from shapes alone, without running, and the cards that hold each estimator."""
    if not selection.cases and selection.suite is None:
        raise UsageError("predict needs a case, -c sd15, -c digits ..., or a suite, --suite gpu")
    default = Block([], ["ddim"], ["backprop", "checkpoint"], steps=[50])
    own = [default] if selection.suite is None else load_suite(selection.suite).blocks
    planned = make_plan(selection.blocks(own), 1)
    if not planned:
        print("gradbench: nothing selected")
        return Exit.NOTHING
    started = time.monotonic()
    rows = predictions(planned, anew)
    if as_json:
        print(json.dumps(rows))
        return Exit.OK
    for problem in dict.fromkeys(_problem(row) for row in rows):
        own = [row for row in rows if _problem(row) == problem]
        weights = weights_of(own[0]) or "no network"
        print(f"\n{problem} ({weights})")
        _show(own)
    print(
        "\nNothing was run: bytes of live tensors from shapes alone, as a CPU would count them. A card holds a cell if "
        f"weights and peak with {WORKSPACES:.0%} for workspaces are within: "
        + ", ".join(f"{card} GB {usable / GIB:g} GiB" for card, usable in CARDS.items())
        + f". {len(rows)} cells in {time.monotonic() - started:.0f} s."
    )
    return Exit.OK


def predictions(planned: list[Planned], anew: bool = False) -> list[Columns]:
    """One mapping per cell: identity, `peak_bytes` and the other bytes, `how` and `cards`; or the reason why not."""
    from gradbench.bench.predictions import foretell

    rows, known = [], {}
    with Working("predicting", len(planned)) as working:
        for item in planned:
            working.item(estimator_of(item.cell))
            found = item.skip or foretell(item.cell, known, anew=anew, say=working.part)
            rows.append({**item.cell, **({"reason": found} if isinstance(found, str) else _columns(found))})
    return rows


def _columns(found: Any) -> Columns:
    named = {f"{name}_bytes": value for name, value in asdict(found).items() if name not in ("steps", "how")}
    return {**named, "how": found.how, "cards": cards_for(found.baseline + found.peak)}


def _problem(row: Columns) -> str:
    case = case_specs()[row["case"]]
    given = {name: value for name, value in row["case_params"].items() if value != case.params[name]}
    sampler = render(row["sampler"], {k: v for k, v in row["sampler_params"].items() if k not in ("grid",) and v})
    targets = ", ".join(row["targets"])
    return f"{render(row['case'], given)}, {sampler}, {row['steps']} steps, {row['dtype']}, gradient of {targets}"


def _show(rows: list[Columns]) -> None:
    done = [row for row in rows if "peak_bytes" in row]
    if done:
        first = done[0]
        parts = ", ".join(
            f"{what} {first[name] / MIB:,.1f}"
            for what, name in (
                ("weights and inputs", "baseline_bytes"),
                ("one state", "state_bytes"),
                ("one step's tape", "tape_bytes"),
                ("objective alone", "objective_bytes"),
                ("gradients", "gradients_bytes"),
            )
        )
        print(f"MiB: {parts}")
    names = {id(row): estimator_of(row) for row in rows}
    width = max(len(name) for name in names.values())
    columns = [f"{card} GB" for card in CARDS]
    print(f"{'estimator':<{width}}  {'peak MiB':>10}  {'a step':>9}  {'in all':>10}  {' '.join(columns)}")
    for row in rows:
        name = f"{names[id(row)]:<{width}}"
        if "peak_bytes" not in row:
            print(f"{name}  skipped: {row['reason']}")
            continue
        peak, slope = row["peak_bytes"], row["slope_bytes"]
        cards = " ".join(
            f"{'yes' if card in row['cards'] else '-':>{len(column)}}"
            for card, column in zip(CARDS, columns, strict=True)
        )
        total = (peak + row["baseline_bytes"]) / MIB
        print(f"{name}  {peak / MIB:>10,.1f}  {slope / MIB:>9,.3f}  {total:>10,.1f}  {cards}")
    for how in dict.fromkeys(row["how"] for row in done):
        print(f"how: {how}: {', '.join(names[id(row)] for row in done if row['how'] == how)}")


def estimator_of(row: Mapping[str, Any]) -> str:
    """The selector of a cell's estimator, with its non-default options."""
    entry = ESTIMATORS.find(row["estimator"])
    defaults = entry.defaults
    return render(row["estimator"], {k: v for k, v in row["estimator_params"].items() if v != defaults.get(k)})
