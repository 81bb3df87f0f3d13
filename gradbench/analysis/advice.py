"""The verb `advise`: collects what is known of each candidate, and says which to use, why, and how sure that is."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradbench import checks
from gradbench.analysis.advise import PREDICTED, Advice, Evidence, Option, Task, advise, error_of, seconds_of
from gradbench.bench.case import headers, shipped_folder
from gradbench.bench.load import load_rows
from gradbench.bench.plan import Planned, make_plan
from gradbench.bench.suite import Block
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.measure.cards import CARDS, WORKSPACES, room
from gradbench.selector import render

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
    block: Block, memory: str, reference: str, max_error: float | None, rows: Sequence[Path], as_json: bool
) -> int:
    """Prints the advice; exit code 4 where there is none to give."""
    from gradbench.measure.environment import provenance

    checks.one_of("reference", reference, REFERENCES)
    if max_error is not None:
        checks.in_range("max-error", max_error, 0.0, 10.0)
    planned = make_plan([block], 1)
    problems = {json.dumps([i.cell[k] for k in ("case", "case_params", "sampler", "sampler_params")]) for i in planned}
    if len(problems) != 1 or len(block.steps) != 1 or len(block.targets) != 1:
        raise ValueError("advise takes one case, one sampler, one number of steps and one target at a time")
    first = planned[0].cell
    task = Task(
        *(first[name] for name in ("case", "case_params", "sampler", "sampler_params", "steps")),
        target=first["targets"][0] if first["targets"] else block.targets[0],
        dtype=first["dtype"],
        memory=memory_of(memory),
        reference=reference,
        max_error=max_error,
        machine=provenance(())["machine_id"],
    )
    found = advise(task, options(task, planned, known_rows(rows), skipped := {}))
    found.refused.update(skipped)
    print(json.dumps(_as_data(task, found)) if as_json else _as_text(task, found))
    return OK if found.chosen else NOTHING


def memory_of(text: str) -> float:
    """Bytes for weights and peak: of a card by its nominal size (24GB) what it holds, else all but workspaces."""
    from gradbench.bench.selection import parse_bytes

    card = text.strip().upper().removesuffix("GB").strip()
    if card.isdigit() and int(card) in CARDS:
        return room(int(card))
    return parse_bytes(text) / (1 + WORKSPACES)


def known_rows(places: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of those folders or files, and the published ones."""
    published = sorted((shipped_folder().parent / "results" / "published").glob("*/rows.parquet"))
    return [row for place in (*places, *published) for row in load_rows(place)]


def options(
    task: Task, planned: Sequence[Planned], rows: list[dict[str, Any]], skipped: dict[str, str]
) -> list[Option]:
    """What is known of each candidate; those that cannot serve go to `skipped`, with the reason."""
    from gradbench.bench.worker import predict_cell

    found, known = [], {}
    for item in planned:
        cell = item.cell
        entry = ESTIMATORS.find(cell["estimator"])
        given = {k: v for k, v in cell["estimator_params"].items() if v != entry.defaults.get(k)}
        label, chosen = render(cell["estimator"], given), (cell["estimator"], cell["estimator_params"])
        memory = item.skip or predict_cell(cell, known)
        if isinstance(memory, str):
            skipped[label] = memory
            continue
        found.append(
            Option(
                label,
                Evidence(memory.peak + memory.baseline, PREDICTED, memory.how),
                error_of(task, chosen, rows, bool(entry.traits.get("exact"))),
                counts(cell),
                seconds_of(task, chosen, rows),
            )
        )
    return found


def counts(cell: dict[str, Any]) -> tuple[float, float, float]:
    """Network evaluations forward and backward, and VJPs, counted on a Gaussian: the same for every network."""
    from gradbench.bench.worker import build

    own = {**cell, "case": "gaussian", "case_params": {"dim": 2, "batch": 1}, "dtype": "float64"}
    problem, estimator = build({**own, "targets": ["x_T", "condition", "parameters"]})
    estimate = estimator(problem)
    return estimate.nfe_forward, estimate.nfe_backward, estimate.vjps


def _as_data(task: Task, found: Advice) -> dict[str, Any]:
    chosen = [{**asdict(option), "work": option.work} for option in found.chosen]
    return {"task": asdict(task), "chosen": chosen, "refused": found.refused}


def _as_text(task: Task, found: Advice) -> str:
    limit = "" if task.max_error is None else f", error at most {task.max_error:g}"
    case = headers()[task.case]
    weights = f" ({case.weights(task.case_params)})" if hasattr(case, "weights") else ""
    lines = [
        f"{task.case}{weights}, {task.sampler}, {task.steps} steps, {task.dtype}: gradient of {task.target} "
        f"against the {task.reference}'s{limit}, {task.memory / 2**30:.1f} GiB for weights and peak."
    ]
    if not found.chosen:
        lines.append("No advice: no estimator is known to serve that.")
    for place, option in zip(("Use", "Next", "Then"), found.chosen, strict=False):
        lines += ["", f"{place}: {option.estimator}", *_facts(option, found.chosen[0])]
    if found.chosen:
        best = found.chosen[0].estimator
        lines += [
            "",
            f'    x_0 = gradbench.sample(denoiser, x_T, sampler="{task.sampler}", steps={task.steps}, '
            f'gradient="{best}", wrt=[...])',
        ]
    lines += ["", *(f"Not {name}: {reason}." for name, reason in found.refused.items())]
    return "\n".join(lines).rstrip()


def _facts(option: Option, best: Option) -> list[str]:
    forward, backward, vjps = option.evaluations
    error, seconds = option.error, option.seconds
    price = "" if option is best else f"; {option.work / best.work:.2f} times the work"
    assert error is not None
    return [
        f"  error   {error.value:.2g} ({error})",
        f"  peak    {option.peak.value / 2**30:.2f} GiB with weights ({option.peak})",
        f"  work    {forward} + {backward} network evaluations, {vjps} of them pulled back (counted){price}",
        "  time    " + ("not measured in this precision" if seconds is None else f"{seconds.value:.3g} s ({seconds})"),
    ]
