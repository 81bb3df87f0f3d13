"""The verb `advise`: collects what is known of each candidate, and says which to use, why, and how sure that is."""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.analysis.advice_text import as_text
from gradbench.analysis.advise import Advice, Option, advise
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
from gradbench.bench.load import load_rows
from gradbench.bench.plan import Planned, make_plan
from gradbench.bench.selection import block_of, parse_bytes, with_weights
from gradbench.bench.suite import Block
from gradbench.bench.working import Working
from gradbench.commands.predict import estimator_of
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.measure.cards import CARDS, WORKSPACES, room
from gradbench.problems.folders import case_specs, shipped_folder

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
OK, NOTHING = 0, 4
REFERENCES = ("sampler", "flow")


def advise_command(
    options: dict[str, Any],
    memory: str | None,
    reference: str,
    max_error: float | None,
    rows: Sequence[Path],
    as_json: bool,
    anew: bool = False,
) -> int:
    """Prints the advice for the problem that the options of a command line select; exit code 4 without any.

    What they leave out is DDIM, 50 steps, and the case's own grid, precision and targets. anew: reads no prediction
    that was made before.
    """
    from gradbench.measure.environment import provenance

    given = block_of(options)
    block = Block([], ["ddim"], list(CANDIDATES), steps=[50]).override(given)
    (block,) = with_weights([block], options["weights"])
    planned = _planned(block, given["targets"])
    first = planned[0].cell
    _check(first, reference, max_error)
    task = Task(
        *(first[name] for name in ("case", "case_params", "sampler", "sampler_params", "steps")),
        targets=tuple(first["targets"]),
        dtype=first["dtype"],
        memory=memory_of(memory),
        device=first["device"],
        reference=reference,
        max_error=max_error,
        machine=machine_of(provenance(())),
    )
    known, refused = known_rows(rows), {}
    found = advise(task, candidates(task, planned, known, refused, anew))
    found = replace(found, refused=found.refused | refused)
    print(json.dumps(_as_data(task, found)) if as_json else as_text(task, found, block, _left_out(options, given)))
    return OK if found.chosen else NOTHING


def _planned(block: Block, targets: Sequence[str]) -> list[Planned]:
    """The cells of the candidates, of one problem; `ValueError` where there are several."""
    planned = make_plan([block], 1)
    if not planned:
        raise ValueError("advise needs a case, a sampler and an estimator at least")
    problems = {json.dumps([i.cell[k] for k in ("case", "case_params", "sampler", "sampler_params")]) for i in planned}
    if len(problems) != 1 or len(block.steps) != 1:
        raise ValueError("advise takes one case, one sampler and one number of steps at a time")
    case = case_specs()[planned[0].cell["case"]]
    for target in targets:
        checks.one_of(f"target of case {case.name}", target, case.TARGETS)
    return planned


def _check(cell: dict[str, Any], reference: str, max_error: float | None) -> None:
    case = case_specs()[cell["case"]]
    checks.one_of(f"dtype of case {case.name}", cell["dtype"], case.dtypes)
    checks.one_of("reference", reference, REFERENCES)
    checks.one_of(f"reference of case {case.name}", reference, [name for name in REFERENCES if name in case.REFERENCES])
    if max_error is not None:
        checks.in_range("max-error", max_error, 0.0, 10.0)


def _left_out(options: dict[str, Any], given: dict[str, Any]) -> Collection[str]:
    """What the command line did not say of the problem."""
    return [name for name in ("samplers", "steps", "dtype", "targets") if not (given.get(name) or options.get(name))]


def memory_of(text: str | None) -> float:
    """Bytes for weights and peak: of a card by its nominal size (24GB) what it holds, else all but workspaces.

    None is room for anything.
    """
    if text is None:
        return math.inf
    card = text.strip().upper().removesuffix("GB").strip()
    if card.isdigit() and int(card) in CARDS:
        return room(int(card))
    return parse_bytes(text) / (1 + WORKSPACES)


def known_rows(places: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of those folders or files, and the published ones."""
    published = sorted((shipped_folder().parent / "results" / "published").glob("*/rows.parquet"))
    return [row for place in (*places, *published) for row in load_rows(place)]


def candidates(
    task: Task, planned: Sequence[Planned], rows: list[dict[str, Any]], refused: dict[str, str], anew: bool = False
) -> list[Option]:
    """What is known of each candidate; those that cannot serve go to `refused`, with the reason."""
    found, known = [], {}
    with Working("considering", len(planned)) as working:
        for item in planned:
            cell, name = item.cell, estimator_of(item.cell)
            working.item(name)
            chosen = (cell["estimator"], cell["estimator_params"])
            if lost := unreached(task, chosen, rows):
                refused[name] = f"it gives no gradient of {' or '.join(lost)}"
                continue
            peak = item.skip or _peak(task, cell, known, anew, working)
            if isinstance(peak, str):
                refused[name] = peak
                continue
            exact = bool(ESTIMATORS.find(cell["estimator"]).traits.get("exact"))
            error = error_of(task, chosen, rows, exact)
            rounding = rounding_of(task, chosen, rows) if exact else None
            why = why_none(task, chosen, rows) if error is None else ""
            seconds = seconds_of(task, chosen, rows)
            found.append(Option(name, peak, error, counts(cell), seconds, rounding, why))
    return found


def _peak(
    task: Task, cell: dict[str, Any], known: dict[Any, Any], anew: bool, working: Working
) -> Evidence | str | None:
    """The predicted peak with the weights, or why there is none; where no memory is named only one that is known."""
    from gradbench.bench.predictions import foretell, told

    if math.isinf(task.memory) and not anew:
        made = told(cell)
    else:
        made = foretell(cell, known, slope=False, anew=anew, say=working.part)
    if made is None or isinstance(made, str):
        return made
    return Evidence(made.peak + made.baseline, PREDICTED, made.how)


def counts(cell: dict[str, Any]) -> tuple[float, float, float]:
    """Network evaluations forward and backward, and VJPs, counted on a Gaussian: the same for every network."""
    from gradbench.bench.building import build

    own = {**cell, "case": "gaussian", "case_params": {"dim": 2, "batch": 1}, "dtype": "float64"}
    problem, estimator = build({**own, "targets": ["x_T", "condition", "parameters"]})
    estimate = estimator(problem)
    return estimate.nfe_forward, estimate.nfe_backward, estimate.vjps


def _as_data(task: Task, found: Advice) -> dict[str, Any]:
    """The advice for a machine: null where there is no limit of memory."""
    chosen = [{**asdict(option), "work": option.work} for option in found.chosen]
    asked = {**asdict(task), "memory": None if math.isinf(task.memory) else task.memory}
    return {"task": asked, "chosen": chosen, "refused": found.refused, "unknown": found.unknown}
