"""Network evaluations as four numbers: a chain of any length is predicted from one evaluation of each kind.

An evaluation changes the bytes that live outside it only by what it leaves: its output, its tape, its gradients. So its
course, measured once from the bytes alive at its start, gives what it adds to the peak anywhere.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack

from gradbench.measure.live_bytes import LiveBytes


@dataclass(frozen=True)
class Course:
    """Bytes of one evaluation.

    forward: its peak over those alive before it, the output included. tape: of its backward pass, without output and
    inputs; kept says which inputs it keeps. backward: the peak of that pass over those alive when the output's
    cotangent arrives, which the pass frees as soon as it is used. held: the same if whoever began the pass holds the
    cotangent until its end, as where the output itself is differentiated. output: shape and dtype.
    """

    forward: int
    tape: int
    kept: tuple[bool, ...]
    backward: int
    held: int
    output: tuple[torch.Size, torch.dtype]


class NotComposable(Exception):
    """An evaluation that is transformed as it runs, as in forward mode: it has no usable tape."""


class _Bytes:
    """Bytes that live as long as this object does, without a tensor."""

    def __init__(self, counter: LiveBytes, size: int) -> None:
        counter.live += size
        counter.peak = max(counter.peak, counter.live)
        weakref.finalize(self, _release, counter, size)


def _release(counter: LiveBytes, size: int) -> None:
    counter.live -= size


class Composed(nn.Module):
    """A network whose evaluations report the network's bytes to `counter` without its operations.

    courses: those known so far, by kind of evaluation: the shapes of its inputs, which require a gradient, and the
    kernels that attention may choose from.
    """

    def __init__(self, network: nn.Module, courses: dict[Any, Course]) -> None:
        super().__init__()
        self.network, self.courses = network, courses
        self.leaves = list(network.parameters())  # listing them takes as long as an evaluation
        self.counter: LiveBytes | None = None

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None = None, **extra: Any) -> Tensor:
        """A tensor of the network's output shape, without its numbers."""
        assert self.counter is not None
        if peek_interpreter_stack() is not None:
            raise NotComposable
        inputs = [x] if condition is None else [x, condition]
        leaves = [p for p in self.leaves if p.requires_grad]
        taped = torch.is_grad_enabled() and any(t.requires_grad for t in (*inputs, *leaves))
        shapes = ((t.shape, t.stride(), t.dtype, t.requires_grad) for t in inputs)
        kind = (taped, bool(leaves), _kernels(), *shapes)
        if kind not in self.courses:
            before = self.counter.peak
            self.courses[kind] = self._measure(taped, inputs, time, leaves, extra)
            self.counter.peak = before
        course = self.courses[kind]
        if taped:
            return _Evaluation.apply(self.counter, course, len(inputs), *inputs, *leaves)  # type: ignore[return-value]
        _Bytes(self.counter, course.forward)
        return torch.empty(course.output[0], dtype=course.output[1])

    def _measure(
        self, taped: bool, inputs: Sequence[Tensor], time: Tensor, leaves: Sequence[Tensor], extra: dict[str, Any]
    ) -> Course:
        counter = self.counter
        assert counter is not None
        own = [t.detach().requires_grad_(t.requires_grad and taped) for t in inputs]
        given = [_fresh(t) for t in own]  # non-leaves, so that the tape alone decides whether they live on
        start = counter.live
        counter.peak = start
        out = self.network(given[0], time, *given[1:], **extra)
        forward, size = counter.peak - start, out.untyped_storage().nbytes()
        sizes = [t.untyped_storage().nbytes() for t in given]
        held = [weakref.ref(t.untyped_storage()) for t in given]
        del given
        kept = tuple(ref() is not None for ref in held)
        if not taped:
            return Course(forward, 0, kept, 0, 0, (out.shape, out.dtype))
        lost = sum(size for size, alive in zip(sizes, kept, strict=True) if not alive)
        tape = counter.live - (start - lost) - size
        result, wanted = (out.shape, out.dtype), [t for t in (*own, *leaves) if t.requires_grad]
        backward = self._backward(out, wanted, held=False)
        del out
        given = [_fresh(t) for t in own]
        out = self.network(given[0], time, *given[1:], **extra)
        del given
        return Course(forward, tape, kept, backward, self._backward(out, wanted, held=True), result)

    def _backward(self, out: Tensor, wanted: Sequence[Tensor], held: bool) -> int:
        """The peak of the output's backward pass; see `Course`."""
        counter, begun = self.counter, list[int]()
        assert counter is not None

        def begin(_: Tensor) -> None:
            begun.append(counter.live)
            counter.peak = counter.live

        out.register_hook(begin)
        end = out if held else out * 1.0  # of which the engine makes the output's cotangent, and owns it
        del out
        torch.autograd.grad(end, wanted, torch.ones_like(end), allow_unused=True)
        return counter.peak - begun[0]


def _kernels() -> tuple[bool, ...]:
    """Which kernels of scaled dot products are allowed: flash, memory-efficient, plain, cuDNN's."""
    allowed = torch.backends.cuda
    return (
        allowed.flash_sdp_enabled(),
        allowed.mem_efficient_sdp_enabled(),
        allowed.math_sdp_enabled(),
        allowed.cudnn_sdp_enabled(),
    )


def _fresh(tensor: Tensor) -> Tensor:
    """The tensor in its own storage; expanded axes stay expanded there."""
    once = tuple(slice(1) if stride == 0 else slice(None) for stride in tensor.stride())
    return (tensor[once] * 1.0).expand(tensor.shape)


class _Evaluation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, counter: LiveBytes, course: Course, count: int, *tensors: Tensor) -> Tensor:
        _Bytes(counter, course.forward)
        ctx.counter, ctx.course, ctx.tape = counter, course, _Bytes(counter, course.tape)
        ctx.kept = [t for t, keep in zip(tensors[:count], course.kept, strict=True) if keep]
        ctx.likes = [(t.shape, t.dtype) for t in tensors]
        return torch.empty(course.output[0], dtype=course.output[1])

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        # more than one owner: the caller of autograd.grad still has it
        _Bytes(ctx.counter, ctx.course.held if cotangent._use_count() > 1 else ctx.course.backward)  # type: ignore
        ctx.tape = ctx.kept = None
        needed = ctx.needs_input_grad[3:]
        grads = (torch.empty(s, dtype=d) if n else None for (s, d), n in zip(ctx.likes, needed, strict=True))
        return None, None, None, *grads
