"""What else decides a number on a GPU: TF32, and the kernels of attention."""

from typing import Any

import torch
from torch import nn


def arithmetic(network: nn.Module, device: torch.device) -> dict[str, Any]:
    """The columns `tf32` (None on a CPU, which has none) and `attention` (None without any).

    tf32: whether matrix products or convolutions may use it; of convolutions torch's default is that they may.
    attention: the attention processors of a diffusers network, and for torch's scaled_dot_product_attention the kernels
    that it may choose from.
    """
    processors = {type(m.processor).__name__ for m in network.modules() if hasattr(m, "processor")}
    switches = torch.backends.cuda
    kernels = [
        name for name in ("flash", "mem_efficient", "math", "cudnn") if getattr(switches, f"{name}_sdp_enabled")()
    ]
    chosen = f"{', '.join(sorted(processors))}; sdpa: {', '.join(kernels)}" if processors else None
    tf32 = switches.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
    return {"tf32": tf32 if device.type == "cuda" else None, "attention": chosen}
