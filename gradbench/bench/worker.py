"""Measures one cell: the problem is built, then errors, time and memory are three passes, in this order."""

import importlib
import itertools
import math
import os
import pdb
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from gradbench import checks
from gradbench.bench.building import build
from gradbench.bench.cell import Cell
from gradbench.bench.failures import line_of
from gradbench.bench.predictions import predicted_bytes
from gradbench.bench.suite import USUAL
from gradbench.checks import UsageError
from gradbench.data import Columns
from gradbench.estimators.base import GradientEstimate, GradientEstimator, malformed
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.estimators.monte_carlo.base import MonteCarlo
from gradbench.measure import bias, error
from gradbench.measure.arithmetic import arithmetic, tf32
from gradbench.measure.cost import calibrate, held_tensors, parts, peak_memory, time_calls
from gradbench.measure.environment import fingerprint_of
from gradbench.measure.evaluation import time_unit
from gradbench.measure.trace import write_trace
from gradbench.problems.folders import case_specs, folders
from gradbench.problems.problem import Problem
from gradbench.problems.spec import MEMORYLESS
from gradbench.references import known
from gradbench.references.flow import by_solving
from gradbench.references.kept import flow_key, problem_key
from gradbench.references.known import references
from gradbench.references.stored import stored
from gradbench.tasks.curve import Curve
from gradbench.tasks.names import picture_of
from gradbench.tasks.optimise import optimise
from gradbench.tasks.pictures import write_picture
from gradbench.tasks.task import Task

LAZY = ("torch._dynamo", "torch.fx.experimental.symbolic_shapes")  # imported by torch itself on first use
PLANS = 16  # random plans averaged for the time of one draw


class Skip(Exception):
    """The reason, known only once the problem is built, why this cell has no number."""


@dataclass(frozen=True)
class How:
    """How a cell is measured.

    passes: the measurements. threads: None for the case's own number. keep: a folder for references of full-size
    networks, or None. traces: a folder for the trace of one gradient, `<cell_id>.json`, or None for none. curve: the
    file of a task's curve, or None.
    """

    passes: Sequence[str] = USUAL
    threads: int | None = None
    keep: Path | None = None
    traces: Path | None = None
    curve: Path | None = None


def measure(cell: Cell, phase: Callable[[str], None], how: How) -> Columns:
    """The measured columns of one cell; `phase` is called with the name of each phase as it begins.

    TF32 is used only for cells of that dtype, and for no reference. Errors propagate; `Skip` stands for a skip row.
    """
    torch.set_num_threads(how.threads or _threads(cell.case))
    with tf32(cell.dtype == checks.TF32):
        return _measured(cell, phase, how)


def _measured(cell: Cell, phase: Callable[[str], None], how: How) -> Columns:
    phase("build")
    problem, estimator = build(cell)
    reason = estimator.supports(problem.traits)
    if reason:
        raise Skip(reason)
    row: Columns = {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
    device = problem.x_T.device
    row |= arithmetic(problem.denoiser, device)
    if device.type == "cuda":
        row["gpu"] = torch.cuda.get_device_name(device)

    task = case_specs()[cell.case].task
    if task is not None:
        return row | _optimised(cell, task(problem, cell.case_params), estimator, phase, how)

    phase("error")
    begun = time.perf_counter()
    before = [leaf.detach().clone() for leaf in (problem.x_T, *problem.leaves)]
    estimate = estimator(problem)
    _check(problem, estimate, before)
    if not estimate.grads:
        raise Skip(f"{cell.estimator} does not reach {' or '.join(problem.targets)} here: nothing to measure")
    row |= _answer(problem, estimate)
    if row["status"] == "diverged":
        return row
    with tf32(False):
        row |= _references(cell, problem, estimator, estimate, how)
    single = estimator.smallest() if isinstance(estimator, MonteCarlo) else estimator
    if "time" in how.passes:
        phase("time")
        row |= {"calibration_s": calibrate(), **_time(problem, estimator)}
    if "memory" in how.passes:
        phase("memory")
        row |= _memory(problem, single)
    if "evaluation" in how.passes:
        phase("evaluation")
        unit = time_unit(problem)
        row |= {"evaluation_s": unit.evaluation, "vjp_s": unit.vjp}
    if how.traces is not None:  # last, because a profiler slows what comes after it
        phase("trace")
        write_trace(lambda: single(problem), device, how.traces / f"{cell.id}.json")
    row["passes_s"] = time.perf_counter() - begun
    if device.type == "cuda":
        row |= predicted_bytes(cell, anew=False)
    row["os_peak_bytes"] = _os_peak()
    return row


def _optimised(cell: Cell, task: Task, estimator: GradientEstimator, phase: Callable[[str], None], how: How) -> Columns:
    """The columns of a task: those of its course, and the memory of one of its estimates."""
    phase("optimise")
    code = fingerprint_of({**cell, "estimator": None}, tuple(folders()))
    before = None if how.curve is None else _pictures(task)
    found = optimise(task, estimator, Curve(how.curve, code))
    if how.curve is not None and before is not None and (after := _pictures(task)) is not None:
        write_picture(picture_of(how.curve), {**task.beside(), "before": before, "after": after})
    if "memory" in how.passes and found["status"] == "ok":
        phase("memory")
        found |= _memory(task.at(0), estimator)
    return found | {"os_peak_bytes": _os_peak()}


@torch.no_grad()
def _pictures(task: Task) -> torch.Tensor | None:
    return task.pictures()


def _memory(problem: Problem, single: GradientEstimator) -> Columns:
    """Peak bytes of one estimate, and on a CPU those of one state and one step's tape."""
    device = problem.x_T.device
    memory = peak_memory(lambda: single(problem), held_tensors(problem), device)
    row: Columns = {"peak_bytes": memory.peak, "baseline_bytes": memory.baseline}
    row |= {"requested_bytes": memory.requested, "reserved_bytes": memory.reserved, "device_bytes": memory.on_device}
    if device.type != "cuda":
        row["state_bytes"], row["tape_bytes"] = parts(problem)
    return row


def _time(problem: Problem, estimator: GradientEstimator) -> Columns:
    """Seconds of one estimate, the median of its repeats; for a Monte Carlo estimator those of one draw.

    One draw is measured on the fewest draws; if its cost is random too, it is the mean over the first `PLANS` draws one
    by one.
    """
    device = problem.x_T.device
    if isinstance(estimator, MonteCarlo) and estimator.random:
        places = itertools.count()
        timing = time_calls(lambda: estimator.alone(problem, next(places)), device, repeats=PLANS)
        samples, cpu = timing.samples, timing.cpu
        middle = sum(samples) / len(samples)
    else:
        single, share = (
            (estimator.smallest(), estimator.fewest) if isinstance(estimator, MonteCarlo) else (estimator, 1)
        )
        timing = time_calls(lambda: single(problem), device)
        samples, cpu = [seconds / share for seconds in timing.samples], timing.cpu / share
        middle = sorted(samples)[len(samples) // 2]
    return {"time_s": middle, "time_samples": samples, "cpu_time_s": cpu}


def _check(problem: Problem, estimate: GradientEstimate, before: list[Tensor]) -> None:
    """`ValueError` for gradients of unwanted targets or of other shapes than their leaves, and a changed problem."""
    wrong = malformed(problem, estimate)
    if wrong:
        raise UsageError(wrong)
    if any(not torch.equal(a, b) for a, b in zip(before, (problem.x_T, *problem.leaves), strict=True)):
        raise UsageError("the estimator changed the problem: x_T, the condition or the parameters differ from before")


def _answer(problem: Problem, estimate: GradientEstimate) -> Columns:
    """The estimate's own numbers, with the distance of its x_0 from that of the sampler run plainly."""
    with torch.no_grad():
        plain = problem.rollout.sample(problem.x_T)
    norms = {name: estimate.grads.norm(name) for name in estimate.grads}
    finite = all(math.isfinite(norm) for norm in norms.values()) and math.isfinite(estimate.objective)
    return {
        "status": "ok" if finite else "diverged",
        "reason": None if finite else "the gradient or the objective is not finite",
        "nfe_forward": estimate.nfe_forward,
        "nfe_backward": estimate.nfe_backward,
        "vjps": estimate.vjps,
        "draws": estimate.draws,
        "x0_drift": error.relative_error(estimate.x_0, plain) if estimate.draws is None else None,
        **{f"grad_norm_{name}": norm for name, norm in norms.items()},
    }


def _threads(case: str) -> int:
    return case_specs()[case].threads or os.cpu_count() or 1


def _references(
    cell: Cell, problem: Problem, estimator: GradientEstimator, estimate: GradientEstimate, how: How
) -> Columns:
    """Errors against each of the right answers, if known, and how the references were made."""
    place, solved = None, "flow" in how.passes
    code = fingerprint_of({**cell, "estimator": None}, tuple(folders()))
    # slow references, of a full-size network or a block of many seeds, are made once for all estimators
    if how.keep is not None and (problem.reference_dtype != torch.float64 or solved):
        place = how.keep / f"{problem_key(cell, code)}.safetensors"
    spec = case_specs()[cell.case]
    held = partial(stored, spec.folder, cell, problem, spec.params)
    asks = ESTIMATORS.find(cell.estimator).traits.memoryless
    found = references(problem, spec.flow_method, estimate.draws, place, held, asks)
    if solved and "flow" not in found and not problem.sampler.traits.stochastic:
        file = None if how.keep is None else how.keep / f"flow-{flow_key(cell, problem.rollout.grid, code)}.safetensors"
        found = {"flow": by_solving(problem, file), **found}
    row = known.columns(found) | bias.columns(estimate, found.get("expected"))
    apart = "rounding" in how.passes and estimate.draws is None
    if apart and checks.dtype(cell.dtype) != problem.reference_dtype:
        exact = found["sampler"].grads
        # an exact one of ours is, in the reference's precision, the reference itself
        same = cell.estimator in ESTIMATORS and ESTIMATORS[cell.estimator].traits.exact
        method = exact if same else estimator(problem.to(problem.reference_dtype)).grads
        row |= error.apart(estimate.grads, method, exact)
    for kind, answer in found.items():
        # the gradient on one path of noises does not estimate the expectation, nor the expectation a path's gradient
        stochastic = problem.sampler.traits.stochastic and kind != MEMORYLESS
        if stochastic and (kind == "expected") == (estimate.draws is None):
            continue
        row |= error.columns(kind, estimate.grads, answer.grads)
    return row


def _os_peak() -> int | None:
    """The high-water mark of the process's resident memory, as reported by the system."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None


def run_cell(
    cell: Cell, phase: Callable[[str], None] = lambda name: None, how: How = How(), debug: bool = False
) -> Columns:
    """`measure`, with every exception turned into a row with phase and reason; `debug` stops in pdb first."""
    at = "import"

    def note(name: str) -> None:
        nonlocal at
        at = name
        phase(name)

    try:
        return measure(cell, note, how)
    except Skip as reason:
        return {"status": "skip", "phase": at, "reason": str(reason)}
    except torch.OutOfMemoryError as failure:
        return {"status": "oom", "phase": at, "reason": line_of(failure, "device")}
    except MemoryError as failure:
        return {"status": "oom", "phase": at, "reason": line_of(failure, "host")}
    except Exception as failure:
        if "can't allocate memory" in str(failure):  # the message of torch's CPU allocator
            return {"status": "oom", "phase": at, "reason": line_of(failure, "host")}
        traceback.print_exc()
        if debug:
            pdb.post_mortem(failure.__traceback__)
        return {"status": "error", "phase": at, "reason": line_of(failure)}


def preload(modules: list[str]) -> None:
    """Imports the modules that the cells will need, so that forked children do not."""
    case_specs()
    for name in (*LAZY, *modules):
        importlib.import_module(name)
