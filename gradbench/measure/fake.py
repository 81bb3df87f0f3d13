"""Tensors with only shapes: operations give the right shape, type and storage size without memory or work."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

from gradbench.measure.live_bytes import LiveBytes
from gradbench.problems.problem import Problem

CPU, META = torch.device("cpu"), torch.device("meta")
aten = torch.ops.aten
# forward mode combines a tangent with a zero one on `meta`, for its shape, and takes that for a fake view's device
OF_ZERO_TANGENTS = (aten._efficientzerotensor.default, aten._to_copy.default)


class FakeBytes(LiveBytes):
    """`LiveBytes` over fake tensors, with a fixed answer when a value is read: equal, not a number, or 0.

    Estimators report such values; if one bases a decision on them, its bytes are those of that decision.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten.equal.default:
            return _natively(func, args) if _real(args) else True
        if func is aten._local_scalar_dense.default:
            return _natively(func, args) if _real(args) else math.nan if args[0].is_floating_point() else 0
        if func in OF_ZERO_TANGENTS and (kwargs or {}).get("device") == META:
            kwargs = {**kwargs, "device": CPU}
        return super().__torch_dispatch__(func, types, args, kwargs)


def _real(args: Any) -> bool:
    return not any(isinstance(arg, FakeTensor) for arg in args)


def _natively(func: Any, args: Any) -> Any:
    with _disable_current_modes():
        return func(*args)


@contextmanager
def faked(problem: Problem) -> Iterator[Problem]:
    """The problem on fake tensors that claim to be on a CPU, inside their mode."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:

        def fake(tensor: Tensor) -> Tensor:
            return FakeTensor(mode, tensor.to("meta"), CPU)

        with _disable_current_modes():
            made = problem.mapped(fake, problem.noise)
        yield made
