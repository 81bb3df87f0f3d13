"""The settings of a denoiser: everything visible, besides x and t, that determines its prediction.

A step must be recomputed under the settings of the forward pass. These are the conditions, the guidance, the mode and
plain attributes of every module (including adapter scales), the hooks, and the versions of the weights. Whatever the
forward pass itself changes, such as counters and caches, is not a setting.
"""

import operator
import types
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.diffusion.denoiser import Denoiser
from gradbench.estimators.contents import Contents, refuse

DEPTH, WIDTH = 3, 64  # the nesting depth and size up to which containers are searched
LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "peft")
Name = tuple[str, str]  # a module's path, and the name of something that it holds
Held = tuple[Any, int | None]  # a value, and its version if it is a tensor


class Settings:
    """A snapshot of the settings before a forward pass; settled after it, and compared before the backward pass.

    whole: whether `Contents` are compared as well, for a backward pass that shows no change by itself.
    """

    def __init__(self, denoiser: Denoiser, whole: bool = False) -> None:
        self._denoiser = denoiser
        self._then = Look(denoiser)
        self._contents = Contents(denoiser) if whole else None
        self._moving: set[Name] = set()

    def settle(self) -> None:
        """Call after the forward pass: settings that this pass changed are left out of the comparison."""
        self._moving = set(self._changed())
        if self._contents is not None:
            self._contents.settle()

    def refuse_changes(self) -> None:
        """`RuntimeError` naming the settings that have changed since the forward pass."""
        changed = [".".join(filter(None, name)) for name in self._changed() if name not in self._moving]
        if not changed and self._contents is not None:
            changed = self._contents.changed()
        refuse(changed)

    def _changed(self) -> list[Name]:
        """Settings that changed or are gone, and new ones that are code: a hook, or a method that overrides another."""
        if self._then.untouched():
            return []
        found, now = self._then.found, Look(self._denoiser).found
        other = [name for name, value in found.items() if name not in now or not _same(value, now[name])]
        return other + [name for name, value in now.items() if name not in found and callable(value[0])]


_SKIPPED = frozenset(vars(nn.Module())) - {"training"}
_PLAIN = (bool, float, str)
_WHOLE = (*_PLAIN, types.FunctionType, types.MethodType)
_CONTAINERS = (dict, list, tuple)


class Look:
    """One scan of a denoiser. found: every setting by name.

    Integers are left out: they are counters more often than settings. The objects scanned are kept, so that checking
    that nothing was touched costs a quarter of a scan.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self.found: dict[Name, Held] = {}
        self._containers: list[tuple[Any, tuple[Any, ...]]] = []  # each with its contents
        self._counted: list[Any] = []  # containers that may grow, even if empty now
        for path, module in denoiser.named_modules():
            self._module(path, module)
        self._tensors = [held for held in self.found.values() if held[1] is not None]
        self._count = sum(map(len, self._counted))

    def untouched(self) -> bool:
        """Whether the same objects, and no others, are in the same places, at the same versions."""
        return (
            sum(map(len, self._counted)) == self._count
            and all(
                len(container) == len(held) and all(map(operator.is_, _entries(container), held))
                for container, held in self._containers
            )
            and all(tensor._version == version for tensor, version in self._tensors)
        )

    def _module(self, path: str, module: nn.Module) -> None:
        own, found = module.__dict__, self.found
        self._containers.append((own, tuple(own.values())))
        self._counted += (module._modules, module._parameters, module._buffers)
        self._counted += (module._forward_hooks, module._forward_pre_hooks)
        if module._modules:
            self._note(module._modules)
        for tensors in (module._parameters, module._buffers):
            if tensors:
                self._note(tensors)
                for name, tensor in tensors.items():
                    if tensor is not None:
                        found[path, name] = tensor, _version(tensor)
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            if hooks:
                self._note(hooks)
                for key, hook in hooks.items():
                    found[path, f"hook {key}"] = hook, None
        for name in own.keys() - _SKIPPED:
            value = own[name]
            if type(value) is not int and value is not None:
                self._add(path, name, value, DEPTH)

    def _note(self, container: Any) -> None:
        self._containers.append((container, tuple(_entries(container))))

    def _add(self, path: str, name: str, value: Any, depth: int) -> None:
        """Adds a plain value, a tensor or a function, or those in a container; other objects are skipped."""
        if isinstance(value, _WHOLE):
            self.found[path, name] = value, None
        elif isinstance(value, Tensor):
            self.found[path, name] = value, _version(value)
        elif isinstance(value, _CONTAINERS) and depth and len(value) <= WIDTH:
            self._note(value)
            for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
                self._add(path, f"{name}[{key!r}]", entry, depth - 1)


def _entries(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def _same(old: Held, new: Held) -> bool:
    """Compares tensors by version (by content if replaced), plain values by equality, and code by identity."""
    (a, version), (b, now) = old, new
    if a is b:
        return version == now
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        moved = isinstance(a, nn.Parameter) and a.device != b.device
        return moved or _equal(a, b)  # offloading replaces the weights that it moves
    return isinstance(a, _PLAIN) and a == b


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)


def _of_library(hook: Any) -> bool:
    return (getattr(hook, "__module__", None) or "").partition(".")[0] in LIBRARIES


def warn_of_hooks(denoiser: Denoiser) -> None:
    """Warns if forward hooks may capture features: without a tape, a loss on such features has no gradient.

    Hooks that libraries register on their own models are ignored.
    """
    for path, module in denoiser.named_modules():
        if any(not _of_library(hook) for hook in module._forward_hooks.values()):
            warnings.warn(
                f"{path or 'the denoiser'} has a forward hook. Features that it captures while sampling have no tape, "
                "and a loss on them has no gradient: use gradient='backprop' for such a loss",
                stacklevel=3,
            )
            return
