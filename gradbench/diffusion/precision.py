"""The precision in which a network computes, which may differ from that of its first parameter, and autocast."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

WORKING = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def precision_of(network: nn.Module, default: torch.dtype) -> torch.dtype:
    """The floating-point dtype in which a network computes.

    The first of these that exists: the network's own `dtype`, which accounts for modules kept in float32 and for
    weights cast from 8 bits layer by layer; the compute dtype of its quantisation; the dtype of its first parameter or
    buffer in float64, float32, bfloat16 or float16; `default`. Integers and 8-bit types are storage, never the result.
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


@contextlib.contextmanager
def pure_autocast() -> Iterator[None]:
    """Context with autocast's cache of cast weights off, so that a network evaluation does not depend on earlier ones.

    With the cache, a weight cast under `no_grad` may be reused in an evaluation that is to be differentiated, and its
    gradient is silently lost; also, the gradients of a weight are summed over the steps in half precision.
    """
    enabled = torch.is_autocast_cache_enabled()
    if not enabled or not (torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")):
        yield
        return
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(True)
