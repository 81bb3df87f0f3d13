"""A trace of one call: what host and device did, and when, as JSON for ui.perfetto.dev or chrome://tracing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile


def write_trace(call: Callable[[], Any], device: torch.device, file: Path) -> None:
    """Writes the trace of `call`, which should have run before: what a first call sets up would be in it."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    file.parent.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(file))
