"""What a denoiser is set to: all besides x and t that decides its answer, as far as it can be seen.

A step that is taken again must be taken under the settings of the forward pass. They are its conditions, its guidance,
the mode and the plain attributes of every module (adapter scales among them), its hooks, and the versions of its
weights. What the forward pass itself changes, as counters and caches, is no setting.
"""

import types
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from gradbench.diffusion.denoiser import Denoiser

DEPTH, WIDTH = 3, 64  # of containers that are looked into
LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "peft")
Name = tuple[str, str]  # of a module, and of what it holds
Held = tuple[Any, int | None]  # a value, and its version where it is a tensor


class Settings:
    """Taken before a forward pass, settled after it, and compared before its backward pass."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self._found = settings(denoiser)
        self._moving: set[Name] = set()

    def settle(self) -> None:
        """After the forward pass: forgets what it changed."""
        self._moving = set(self._changed())

    def refuse_changes(self) -> None:
        """`RuntimeError` naming what is another than in the forward pass."""
        changed = [".".join(filter(None, name)) for name in self._changed() if name not in self._moving]
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise RuntimeError(
                f"the denoiser was changed between the sample and its backward pass ({', '.join(changed[:3])}{more}): "
                "its steps cannot be taken again; call backward() before the change, or use gradient='backprop'"
            )

    def _changed(self) -> list[Name]:
        """What is another or gone, and what has come and is code: a hook, or a method put in another's place."""
        found, now = self._found, settings(self._denoiser)
        other = [name for name, value in found.items() if name not in now or not _same(value, now[name])]
        return other + [name for name, value in now.items() if name not in found and callable(value[0])]


_SKIPPED = frozenset(vars(nn.Module())) - {"training"}
_PLAIN = (bool, float, str)
_WHOLE = (*_PLAIN, types.FunctionType, types.MethodType)
_CONTAINERS = (dict, list, tuple)


def settings(denoiser: Denoiser) -> dict[Name, Held]:
    """Every setting by name. Whole numbers are counters more often than settings, and are left out."""
    found: dict[Name, Held] = {}
    for path, module in denoiser.named_modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    found[path, name] = tensor, _version(tensor)
        own = module.__dict__
        for name in own.keys() - _SKIPPED:
            if type(own[name]) is not int:
                _add(found, path, name, own[name], DEPTH)
        for key, hook in (*module._forward_hooks.items(), *module._forward_pre_hooks.items()):
            found[path, f"hook {key}"] = hook, None
    return found


def _add(found: dict[Name, Held], path: str, name: str, value: Any, depth: int) -> None:
    """A plain value, a tensor, a function, or what a container holds of them; other objects are passed over."""
    if isinstance(value, _WHOLE):
        found[path, name] = value, None
    elif isinstance(value, Tensor):
        found[path, name] = value, _version(value)
    elif isinstance(value, _CONTAINERS) and depth and len(value) <= WIDTH:
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            _add(found, path, f"{name}[{key!r}]", entry, depth - 1)


def _same(old: Held, new: Held) -> bool:
    """A tensor by its version, a plain value by equality, code by identity."""
    (a, version), (b, now) = old, new
    if a is b:
        return version == now
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        moved = isinstance(a, nn.Parameter) and a.device != b.device
        return moved or _equal(a, b)  # weights that an offload moves are put in others' place
    return isinstance(a, _PLAIN) and a == b


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)


def _of_library(hook: Any) -> bool:
    return (getattr(hook, "__module__", None) or "").partition(".")[0] in LIBRARIES


def warn_of_hooks(denoiser: Denoiser) -> None:
    """A warning where forward hooks may capture features: without a tape, a loss on these has no gradient.

    Hooks that libraries register on their own models are none of these.
    """
    for path, module in denoiser.named_modules():
        if any(not _of_library(hook) for hook in module._forward_hooks.values()):
            warnings.warn(
                f"{path or 'the denoiser'} has a forward hook. Features that it captures while sampling have no tape, "
                "and a loss on them has no gradient: use gradient='backprop' for such a loss",
                stacklevel=3,
            )
            return
