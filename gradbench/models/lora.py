"""Low-rank adapters on attention, through peft.

References: Hu et al., 2022, LoRA, arXiv:2106.09685, section 4.1.
"""

import torch
from torch import Tensor, nn

from gradbench import checks

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


def add_lora(unet: nn.Module, rank: int, seed: int, scale: float = 0.02) -> tuple[Tensor, ...]:
    """Freezes a diffusers U-Net, adds adapters of the given rank to its attention and returns their weights.

    peft starts with lora_B = 0, where every gradient of lora_A vanishes. Here both are drawn from N(0, scale^2) with a
    separate generator, in the order of the parameters' names, so no gradient is trivially zero.
    """
    from peft import LoraConfig

    checks.positive_integer("rank", rank)
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ATTENTION)))  # type: ignore[operator]
    named = sorted((name, p) for name, p in unet.named_parameters() if "lora_" in name)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in named:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return tuple(parameter for _, parameter in named)
