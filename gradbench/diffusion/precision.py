"""The precision that a network works in, which its first parameter need not have."""

from typing import Any

import torch
from torch import nn

WORKING = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def precision_of(network: nn.Module, default: torch.dtype) -> torch.dtype:
    """The floating type that a network computes in.

    It is what the network says itself (`dtype`, which knows of modules kept in float32 and of weights that are cast
    from 8 bits layer by layer); then the compute type of its quantisation; then that of its first parameter or buffer
    that is float64, float32, bfloat16 or float16; else `default`. Integers and 8-bit types are storage, never it.
    """
    said = getattr(network, "dtype", None)
    if said in WORKING:
        return said
    for owner in (getattr(network, "hf_quantizer", None), _quantisation(network)):
        for name in ("compute_dtype", "bnb_4bit_compute_dtype"):
            if getattr(owner, name, None) in WORKING:
                return getattr(owner, name)
    held = (*network.parameters(), *network.buffers())
    return next((tensor.dtype for tensor in held if tensor.dtype in WORKING), default)


def _quantisation(network: nn.Module) -> Any:
    return getattr(getattr(network, "config", None), "quantization_config", None)
