"""Other settings that affect numbers on a GPU: TF32, and the kernels of attention."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from gradbench.data import Columns


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Inside, TF32 is allowed for all float32 matrix products and convolutions, or for none."""
    switches: tuple[Any, Any] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = allowed
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def arithmetic(network: nn.Module, device: torch.device) -> Columns:
    """The columns `tf32` (None on a CPU, which has none) and `attention` (None without any).

    tf32: whether matrix products or convolutions may use it. A float32 cell may not, a tf32 cell may. attention: the
    attention processors of a diffusers network, and the kernels available to torch's scaled_dot_product_attention.
    """
    processors = {type(m.processor).__name__ for m in network.modules() if hasattr(m, "processor")}
    switches = torch.backends.cuda
    kernels = [
        name for name in ("flash", "mem_efficient", "math", "cudnn") if getattr(switches, f"{name}_sdp_enabled")()
    ]
    chosen = f"{', '.join(sorted(processors))}; sdpa: {', '.join(kernels)}" if processors else None
    allowed = switches.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
    return {"tf32": allowed if device.type == "cuda" else None, "attention": chosen}
