"""What a network may read, by content, where no evaluation of the backward pass shows a change.

`Settings` compares tensors by version, which `.data` leaves as it is, and neither integers nor what plain objects hold,
because a step that is taken again shows their effect. A continuous adjoint on re-solved states takes none again: what
`held_values` finds is compared here. Tensors are compared by the sum of their bits as integers, exact in any order.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from gradbench.diffusion.denoiser import Denoiser
from gradbench.estimators.held import held_values

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
OWN = ("calls", "pulled", "copies", "watches")  # of a denoiser


class Contents:
    """A snapshot before a forward pass; settled after it, and compared before the backward pass."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self._then = looked(denoiser)
        self._moving: set[str] = set()

    def settle(self) -> None:
        """Call after the forward pass: what this pass changed is left out of the comparison."""
        now = looked(self._denoiser)
        self._moving = {name for name in {*now, *self._then} if now.get(name) != self._then.get(name)}

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Context of the forward pass."""
        yield
        self.settle()

    @contextlib.contextmanager
    def comparing(self, ambient: Any) -> Iterator[None]:
        """Context of the backward pass; see `refuse_changes`."""
        self.refuse_changes()
        yield

    def refuse_changes(self) -> None:
        """`RuntimeError` naming what has changed since the forward pass."""
        refuse(self.changed())

    def changed(self) -> list[str]:
        """What has changed since the forward pass, and code that is new."""
        now = looked(self._denoiser)
        names = [name for name, held in self._then.items() if now.get(name) != held]
        names += [name for name, held in now.items() if name not in self._then and any(map(_is_code, held))]
        return [name for name in names if name not in self._moving]


def refuse(changed: Sequence[str]) -> None:
    """`RuntimeError` naming what has changed, if anything has."""
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise RuntimeError(
            f"the denoiser was changed between the sample and its backward pass ({', '.join(changed[:3])}{more}): "
            "its steps cannot be taken again; call backward() before the change, or use gradient='backprop'"
        )


def looked(denoiser: Denoiser) -> dict[str, list[Any]]:
    """What is held, by name: plain values, the code of functions, and dtype, shape and sum of bits of tensors."""
    found, sums = dict[str, list[Any]](), dict[torch.device, list[tuple[list[Any], Tensor]]]()
    for name, value in held_values(denoiser):
        if name.partition(".")[0] in OWN:
            continue
        held = found.setdefault(name, [])
        if not isinstance(value, Tensor):
            held.append(getattr(value, "__code__", None) or repr(value))
            continue
        held.append((value.dtype, tuple(value.shape)))
        if (total := sum_of_bits(value)) is not None:
            sums.setdefault(value.device, []).append((held, total))
    for pairs in sums.values():  # one read per device
        for (held, _), total in zip(pairs, torch.stack([total for _, total in pairs]).tolist(), strict=True):
            held.append(total)
    return found


def sum_of_bits(tensor: Tensor) -> Tensor | None:
    """The sum of a tensor's bits, 64 at a time, as integers, and of the entries left over; None if it has no entries
    to read.
    """
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized or is_traceable_wrapper_subclass(tensor):
        return None
    flat = (torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()).reshape(-1)
    size = flat.element_size()
    if flat.storage_offset() * size % 8:
        flat = flat.clone()
    whole = flat.numel() * size // 8 * 8 // size
    total = flat[:whole].view(torch.int64).sum()
    return total if whole == flat.numel() else total + flat[whole:].view(BITS[size]).sum(dtype=torch.int64)


def _is_code(held: Any) -> bool:
    return hasattr(held, "co_code")
