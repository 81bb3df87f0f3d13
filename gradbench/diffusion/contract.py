"""What a network must be to be called as network(x, time, condition, **extra), and what it must return."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.checks import UsageError


def check_module(network: Any) -> None:
    """`ValueError` for a network that is not a module, whose tensors and settings could not be seen."""
    if isinstance(network, type):
        raise UsageError(f"the network must be a torch.nn.Module, got the class {network.__name__}: give an instance")
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"the network must be a torch.nn.Module, got {type(network).__name__}: wrap it in a module whose forward "
            "calls it and whose attributes are the modules and tensors that it reads"
        )
    for name, part in network.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise UsageError(
                f"{name or 'the network'} is compiled by torch.jit ({type(part).__name__}), which hides what it reads: "
                "give the module that it was made from, or torch.compile of it"
            )


def check_network(network: Any, extra: Mapping[str, Any]) -> None:
    """`ValueError` for a network that is not a module or cannot be called with (x, time, condition, **extra)."""
    check_module(network)
    try:
        signature = inspect.signature(network.forward)
    except (TypeError, ValueError):  # not written in Python
        return
    try:
        signature.bind(None, None, None, **extra)
    except TypeError as wrong:
        raise UsageError(
            f"{type(network).__name__} must be called as network(x, time, condition"
            f"{''.join(f', {name}=' for name in extra)}), and takes {signature}: {wrong}; wrap it in a module of these"
        ) from None


def tensor_of(answer: Any, inputs: Tensor) -> Tensor:
    """The network's output: a tensor of floats, or the first entry of a tuple or output object that is one."""
    found = answer
    if isinstance(answer, tuple | list):
        found = answer[0] if answer else answer
    elif not isinstance(answer, Tensor):
        found = getattr(answer, "sample", answer)
    if not isinstance(found, Tensor):
        raise UsageError(f"the network must return a tensor {tuple(inputs.shape)}, got {_named(found)}")
    if not found.is_floating_point():
        raise UsageError(f"the network must return real floating-point numbers, got {found.dtype}: convert its output")
    return found


def answer_of(answer: Any, inputs: Tensor) -> Tensor:
    """The same, with the shape of its input."""
    found = tensor_of(answer, inputs)
    if found.shape != inputs.shape:
        raise UsageError(
            f"the network returns {tuple(found.shape)} for an input {tuple(inputs.shape)}: its output must have the "
            "shape of x, including the batch"
        )
    return found


def _named(value: Any) -> str:
    return f"an empty {type(value).__name__}" if isinstance(value, tuple | list) and not value else type(value).__name__


def version_of(x: Tensor) -> int | None:
    """How often x has been changed in place; None if that is not counted."""
    return None if x.is_inference() else x._version


def refuse_changed(x: Tensor, before: int | None) -> None:
    """`ValueError` if x has been changed in place since its version was `before`."""
    if version_of(x) != before:
        raise UsageError(
            "the network changed its input x in place, which is also the chain's state: start it with x = x.clone(), "
            "or use operations that return a new tensor (inplace=False)"
        )
