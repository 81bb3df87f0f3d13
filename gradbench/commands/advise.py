"""The verb `advise`: collects evidence for each candidate, and says which to use, why, and how sure that is."""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradbench import checks
from gradbench.analysis.advice_text import as_text
from gradbench.analysis.advise import Advice, Option
from gradbench.analysis.advise import advise as best
from gradbench.analysis.evidence import (
    PREDICTED,
    Evidence,
    Task,
    error_of,
    machine_of,
    rounding_of,
    seconds_of,
    unreached,
    why_none,
)
from gradbench.bench.cell import Cell
from gradbench.bench.load import load_rows
from gradbench.bench.plan import Planned, make_plan
from gradbench.bench.quantities import parse_bytes
from gradbench.bench.row import Row
from gradbench.bench.selection import Selection
from gradbench.bench.suite import Block
from gradbench.bench.working import Working
from gradbench.checks import UsageError
from gradbench.commands.options import (
    CELLS,
    DEVICE,
    Parsed,
    anew_option,
    cases_option,
    json_option,
    one_of,
    with_selection,
)
from gradbench.commands.predict import estimator_of
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.exits import Exit
from gradbench.measure.cards import CARDS, WORKSPACES, room
from gradbench.measure.environment import provenance
from gradbench.problems.folders import case_specs, shipped_folder
from gradbench.problems.spec import TARGETS

if TYPE_CHECKING:
    from gradbench.bench.predicting import Known

CANDIDATES = (
    "backprop",
    "checkpoint",
    "revolve",
    "reversible",
    "adjoint-deis",
    "adjoint-dpm",
    "continuous-adjoint",
    "draft",
)
HELD_AGAINST = ("sampler", "flow")


@click.command()
@CELLS
@click.option(
    "--memory",
    type=Parsed(lambda text, option: memory_of(text), *(f"{card}GB" for card in CARDS)),
    metavar="SIZE",
    default=math.inf,
    help="A card (24GB) or a size (10GiB); by default anything fits.",
)
@one_of("--reference", *HELD_AGAINST, default="sampler", called="reference")
@click.option("--max-error", type=float, metavar="E", help="The largest acceptable relative error.")
@click.option(
    "--rows", multiple=True, metavar="DIR", type=click.Path(exists=True, path_type=Path), help="More rows to use."
)
@click.option("--device", type=DEVICE, metavar="NAME", help="Use rows of this device: cpu or cuda.")
@anew_option
@json_option
@cases_option
@with_selection
def advise(
    selection: Selection,
    memory: float,
    reference: str,
    max_error: float | None,
    rows: tuple[Path, ...],
    anew: bool,
    as_json: bool,
) -> Exit:
    """Tell which estimator to use for a task, from rows and predictions, and how sure that is.

    Defaults are DDIM, 50 steps, and the case's own grid, precision and targets.
    """
    if not selection.cases:
        raise UsageError("advise needs a case: -c sd15, -c digits ...")
    (block,) = selection.blocks([Block([], ["ddim"], list(CANDIDATES), steps=[50])])
    planned = _planned(block, selection.targets)
    first = planned[0].cell
    _check(first, reference, max_error)
    task = Task(
        first.case,
        first.case_params,
        first.sampler,
        first.sampler_params,
        first.steps,
        targets=first.targets,
        dtype=first.dtype,
        memory=memory,
        device=first.device,
        reference=reference,
        max_error=max_error,
        machine=machine_of(Row(provenance(()))),
    )
    refused: dict[str, str] = {}
    found = best(task, candidates(task, planned, known_rows(rows), refused, anew))
    found = replace(found, refused=found.refused | refused)
    print(json.dumps(_as_data(task, found)) if as_json else as_text(task, found, block, _left_out(selection)))
    return Exit.OK if found.chosen else Exit.NOTHING


def _planned(block: Block, targets: Sequence[str]) -> list[Planned]:
    """The cells of the candidates, for one problem; `ValueError` if there are several."""
    planned = make_plan([block], 1)
    if not planned:
        raise UsageError("advise needs a case, a sampler and an estimator at least")
    problems = {json.dumps([i.cell[k] for k in ("case", "case_params", "sampler", "sampler_params")]) for i in planned}
    if len(problems) != 1 or len(block.steps) != 1:
        raise UsageError("advise takes one case, one sampler and one number of steps at a time")
    case = case_specs()[planned[0].cell.case]
    for target in targets:
        checks.one_of(f"target of case {case.name}", target, case.targets)
    return planned


def _check(cell: Cell, reference: str, max_error: float | None) -> None:
    case = case_specs()[cell.case]
    checks.one_of(f"dtype of case {case.name}", cell.dtype, case.dtypes)
    known = [name for name in HELD_AGAINST if name in case.references]
    checks.one_of(f"reference of case {case.name}", reference, known)
    if max_error is not None:
        checks.in_range("max-error", max_error, 0.0, 10.0)


def _left_out(selection: Selection) -> Collection[str]:
    """The parts of the problem missing from the command line."""
    return [name for name in ("samplers", "steps", "dtype", "targets") if not getattr(selection, name)]


def memory_of(text: str) -> float:
    """Bytes for weights and peak: what a card (24GB) really holds, or a given size without workspaces."""
    card = text.strip().upper().removesuffix("GB").strip()
    if card.isdigit() and int(card) in CARDS:
        return room(int(card))
    return parse_bytes(text) / (1 + WORKSPACES)


def known_rows(places: Sequence[Path]) -> list[Row]:
    """The rows of those folders or files, and the published ones."""
    published = sorted((shipped_folder().parent / "results" / "published").glob("*/rows.parquet"))
    return [row for place in (*places, *published) for row in load_rows(place)]


def candidates(
    task: Task, planned: Sequence[Planned], rows: list[Row], refused: dict[str, str], anew: bool = False
) -> list[Option]:
    """The evidence for each candidate; those that cannot serve go to `refused`, with the reason."""
    found, known = [], {}
    with Working("considering", len(planned)) as working:
        for item in planned:
            cell, name = item.cell, estimator_of(item.cell)
            working.item(name)
            chosen = (cell.estimator, cell.estimator_params)
            if lost := unreached(task, chosen, rows):
                refused[name] = f"it gives no gradient of {' or '.join(lost)}"
                continue
            peak = item.skip or _peak(task, cell, known, anew, working)
            if isinstance(peak, str):
                refused[name] = peak
                continue
            exact = ESTIMATORS.find(cell.estimator).traits.exact
            error = error_of(task, chosen, rows, exact)
            rounding = rounding_of(task, chosen, rows) if exact else None
            why = why_none(task, chosen, rows) if error is None else ""
            seconds = seconds_of(task, chosen, rows)
            found.append(Option(name, peak, error, counts(cell), seconds, rounding, why))
    return found


def _peak(task: Task, cell: Cell, known: "Known", anew: bool, working: Working) -> Evidence | str | None:
    """The predicted peak with the weights, or why there is none; without a memory limit only an earlier prediction."""
    from gradbench.bench.predictions import foretell, told

    if math.isinf(task.memory) and not anew:
        made = told(cell)
    else:
        made = foretell(cell, known, slope=False, anew=anew, say=working.part)
    if made is None or isinstance(made, str):
        return made
    return Evidence(made.peak + made.baseline, PREDICTED, made.how)


def counts(cell: Cell) -> tuple[float, float, float]:
    """Network evaluations forward and backward, and VJPs, counted on a Gaussian: the same for every network."""
    from gradbench.bench.building import build

    small = {"dim": 2, "batch": 1}
    own = replace(cell, case="gaussian", case_params=small, dtype="float64", targets=TARGETS)
    problem, estimator = build(own)
    estimate = estimator(problem)
    return estimate.nfe_forward, estimate.nfe_backward, estimate.vjps


def _as_data(task: Task, found: Advice) -> dict[str, Any]:
    """The advice as JSON data: null for unlimited memory."""
    chosen = [{**asdict(option), "work": option.work} for option in found.chosen]
    asked = {**asdict(task), "memory": None if math.isinf(task.memory) else task.memory}
    return {"task": asked, "chosen": chosen, "refused": found.refused, "unknown": found.unknown}
