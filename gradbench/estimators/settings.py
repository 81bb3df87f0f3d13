"""What a denoiser is set to: all besides x and t that decides its answer, as far as it can be seen.

A step that is taken again must be taken under the settings of the forward pass. They are its conditions, its guidance,
the mode and the plain attributes of every module (adapter scales among them), its hooks, and the versions of its
weights. What the forward pass itself changes, as counters and caches, is no setting.
"""

import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.diffusion.denoiser import Denoiser

DEPTH, WIDTH = 3, 64  # of containers that are looked into
COUNTERS = ("calls", "pulled")  # a denoiser's own, which other samples' backward passes move


class Settings:
    """Taken before a forward pass, settled after it, and compared before its backward pass."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self._found = dict(settings(denoiser))
        self._moving: set[str] = set()

    def settle(self) -> None:
        """After the forward pass: forgets what it changed."""
        self._moving = set(self._changed())

    def refuse_changes(self) -> None:
        """`RuntimeError` naming what is another than in the forward pass."""
        changed = [name for name in self._changed() if name not in self._moving]
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise RuntimeError(
                f"the denoiser was changed between the sample and its backward pass ({', '.join(changed[:3])}{more}): "
                "its steps cannot be taken again; call backward() before the change, or use gradient='backprop'"
            )

    def _changed(self) -> list[str]:
        """What is another or gone, and what has come and is code: a hook, or a method put in another's place."""
        now = dict(settings(self._denoiser))
        other = [name for name, value in self._found.items() if name not in now or not value.same(now[name])]
        return other + [name for name, held in now.items() if name not in self._found and callable(held.value)]


class _Held:
    """An attribute's value: a tensor by its version, a plain value by equality, another object by identity."""

    def __init__(self, value: Any) -> None:
        self.value, self.version = value, _version(value)

    def same(self, other: "_Held") -> bool:
        if self.value is other.value:
            return self.version == other.version
        if isinstance(self.value, Tensor) and isinstance(other.value, Tensor):
            moved = isinstance(self.value, nn.Parameter) and self.value.device != other.value.device
            return moved or _equal(self.value, other.value)  # weights that an offload moves are put in others' place
        return isinstance(self.value, _PLAIN) and self.value == other.value


_PLAIN = (bool, float, str)
_SKIPPED = frozenset(vars(nn.Module())) - {"training"}


def settings(denoiser: Denoiser) -> Iterator[tuple[str, _Held]]:
    """Every setting by name. Whole numbers are counters more often than settings, and are left out."""
    for path, module in denoiser.named_modules():
        dot = f"{path}." if path else ""
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                yield dot + name, _Held(tensor)
        for name, value in vars(module).items():
            if name not in _SKIPPED and not (module is denoiser and name in COUNTERS):
                yield from _flat(dot + name, value, DEPTH)
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            yield from ((f"{dot}hook {key}", _Held(hook)) for key, hook in hooks.items())


def _flat(name: str, value: Any, depth: int) -> Iterator[tuple[str, _Held]]:
    if isinstance(value, Mapping | list | tuple):
        if depth and len(value) <= WIDTH:
            entries = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, entry in entries:
                yield from _flat(f"{name}[{key!r}]", entry, depth - 1)
    elif isinstance(value, (Tensor, types.FunctionType, types.MethodType, *_PLAIN)):
        yield name, _Held(value)


def _version(value: Any) -> int | None:
    if not isinstance(value, Tensor) or value.is_inference():
        return None
    return value._version


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)


def warn_of_hooks(denoiser: Denoiser) -> None:
    """A warning where forward hooks may capture features: without a tape, a loss on these has no gradient."""
    for path, module in denoiser.named_modules():
        if module._forward_hooks:
            warnings.warn(
                f"{path or 'the denoiser'} has a forward hook. Features that it captures while sampling have no tape, "
                "and a loss on them has no gradient: use gradient='backprop' for such a loss",
                stacklevel=3,
            )
            return
