"""Time and memory of one estimate, each in its own pass: never timed while bytes are counted."""

import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradbench.diffusion.noise import RecordedNoise
from gradbench.measure.live_bytes import LiveBytes
from gradbench.problems.problem import Problem


@dataclass(frozen=True)
class Timing:
    """Wall seconds of each repeat, and the process's CPU seconds per repeat."""

    samples: list[float]
    cpu: float


LONG = 10.0  # seconds: a call that takes longer is timed once


def time_calls(call: Callable[[], Any], device: torch.device, repeats: int = 3, budget: float = 0.3) -> Timing:
    """At least `repeats` calls, up to 20 while they take less than `budget` seconds in all, one if it takes `LONG`.

    No warm-up: the error pass was one. On CUDA a call is timed by two events on its stream.
    """
    samples: list[float] = []
    cpu = time.process_time()
    while len(samples) < repeats or (sum(samples) < budget and len(samples) < 20):
        samples.append(seconds_of(call, device))
        if samples[0] > LONG:
            break
    return Timing(samples, (time.process_time() - cpu) / len(samples))


def seconds_of(call: Callable[[], Any], device: torch.device) -> float:
    """Seconds of one call: wall-clock on a CPU, between two events on the stream on CUDA."""
    if device.type != "cuda":
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun
    torch.cuda.synchronize(device)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record(torch.cuda.current_stream(device))
    call()
    end.record(torch.cuda.current_stream(device))
    torch.cuda.synchronize(device)
    return start.elapsed_time(end) / 1000


def calibrate(size: int = 384, repeats: int = 7) -> float:
    """Seconds of a fixed float32 matrix product in this process: a common unit for timings of one machine."""
    a = torch.full((size, size), 0.5)
    samples = []
    for _ in range(repeats):
        start = time.perf_counter()
        torch.mm(a, a)
        samples.append(time.perf_counter() - start)
    return min(samples)


@dataclass(frozen=True)
class Memory:
    """Bytes: peak over the baseline, baseline (weights and inputs), and on CUDA three more.

    They are the same peak as requested from the allocator, its reserved peak, and what the whole device then holds,
    libraries and context included.
    """

    peak: int
    baseline: int
    requested: int | None = None
    reserved: int | None = None
    on_device: int | None = None


def peak_memory(call: Callable[[], Any], held: Iterable[Tensor], device: torch.device) -> Memory:
    """The peak of one call: live tensor bytes on a CPU, on CUDA the allocator's; the error pass was the warm-up."""
    if device.type != "cuda":
        with LiveBytes(held) as bytes_:
            call()
        return Memory(bytes_.peak - bytes_.baseline, bytes_.baseline)
    gc.collect()
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before, asked = torch.cuda.memory_allocated(device), _requested(device, "current")
    call()
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) - before
    free, total = torch.cuda.mem_get_info(device)  # the allocator gives nothing back until asked
    most = _requested(device, "peak")
    requested = None if most is None or asked is None else most - asked
    return Memory(peak, before, requested, torch.cuda.max_memory_reserved(device), total - free)


def _requested(device: torch.device, when: str) -> int | None:
    """Bytes requested from the allocator, before it rounds them up to blocks; None if it does not report them."""
    return torch.cuda.memory_stats(device).get(f"requested_bytes.all.{when}")


def held_tensors(problem: Problem) -> list[Tensor]:
    """The tensors that exist before an estimate: x_T, the leaves, the networks' and objective's, given noises."""
    modules = [m for m in (problem.denoiser, problem.objective) if isinstance(m, torch.nn.Module)]
    own = [t for m in modules for t in (*m.parameters(), *m.buffers())]
    rest = [t for t in (problem.x_T, problem.condition, *problem.parameters) if t is not None]
    recorded = problem.rollout.noise
    rows = recorded.rows if isinstance(recorded, RecordedNoise) else ()
    return [*own, *rest, *([rows] if isinstance(rows, Tensor) else rows)]


def parts(problem: Problem) -> tuple[int, int]:
    """Bytes of one state of the chain, and of the tape of one step (without its result)."""
    state = tuple(s.detach() for s in problem.rollout.start(problem.x_T))
    with LiveBytes([*held_tensors(problem), *state]) as bytes_, torch.enable_grad():
        result = problem.rollout.step(0, tuple(s.requires_grad_() for s in state))
        own = sum(s.untyped_storage().nbytes() for s in result)
        tape = bytes_.live - bytes_.baseline - own
    return own, tape
