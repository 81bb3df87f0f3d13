"""The tensors that a denoiser visibly holds, which the network may read besides its arguments."""

import dis
import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

DEPTH = 4  # nesting depth of containers


def held_tensors(denoiser: nn.Module, others: Mapping[str, Any] | None = None) -> Iterator[tuple[str, Tensor]]:
    """Yields (name, tensor) for parameters, buffers, and tensors in attributes, containers, hooks and closures.

    The search covers attributes of the denoiser and its submodules, mappings and sequences, modules in these, plain
    objects held by a module, forward hooks, functions (closures, defaults, partial arguments, global tensors named in
    their code), and the objects to which bound methods belong. It misses tensors that are reached in other ways:
    through a global object, a file or an extension. others: further values that are read, by name.
    """
    walk = _Walk()
    for name, value in (others or {}).items():
        yield from walk.value(name, value, DEPTH)
    yield from walk.module("", denoiser)


class _Walk:
    """One walk over everything a module holds; each object is visited once."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def module(self, prefix: str, root: nn.Module) -> Iterator[tuple[str, Tensor]]:
        for path, module in root.named_modules(prefix=prefix):
            if self._new(module):
                dot = f"{path}." if path else ""
                own = {**module._parameters, **module._buffers}
                yield from ((dot + name, tensor) for name, tensor in own.items() if tensor is not None)
                yield from self._code(dot + "forward", type(module).forward)
                for hooks in (module._forward_hooks, module._forward_pre_hooks):
                    for hook in hooks.values():
                        yield from self.value(f"{dot}hook", hook, DEPTH)
                for name, value in vars(module).items():
                    if name not in _TORCH:
                        yield from self.value(dot + name, value, DEPTH)

    def value(self, name: str, value: Any, depth: int) -> Iterator[tuple[str, Tensor]]:
        """The tensors in the value of an attribute."""
        if isinstance(value, Tensor):
            if self._new(value):
                yield name, value
        elif isinstance(value, nn.Module):
            yield from self.module(name, value)
        elif value is None or isinstance(value, _PLAIN) or depth == 0 or not self._new(value):
            return
        elif isinstance(value, Mapping):
            for key, entry in value.items():
                yield from self.value(f"{name}[{key!r}]", entry, depth - 1)
        elif isinstance(value, list | tuple | set | frozenset):
            for k, entry in enumerate(value):
                yield from self.value(f"{name}[{k}]", entry, depth - 1)
        elif isinstance(value, functools.partial):
            for entry in (value.func, value.args, value.keywords):
                yield from self.value(name, entry, depth - 1)
        elif isinstance(value, types.MethodType):
            yield from self.value(name, value.__func__, depth - 1)
            if isinstance(value.__self__, nn.Module):
                yield from self.module(name, value.__self__)
            else:
                yield from self._tensors_of(name, value.__self__)
        elif isinstance(value, types.FunctionType):
            yield from self._function(name, value, depth)
        elif hasattr(value, "__dict__") and not isinstance(value, _OPAQUE):
            yield from self._tensors_of(name, value)

    def _function(self, name: str, function: Any, depth: int) -> Iterator[tuple[str, Tensor]]:
        free = function.__code__.co_freevars
        for variable, cell in zip(free, function.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:  # not yet assigned
                continue
            yield from self.value(f"{name}: {variable}", content, depth - 1)
        yield from self.value(f"{name}: default", (function.__defaults__, function.__kwdefaults__), depth - 1)
        yield from self._code(name, function)

    def _code(self, name: str, function: Any) -> Iterator[tuple[str, Tensor]]:
        """Global tensors that are named in a function's code."""
        code, around = getattr(function, "__code__", None), getattr(function, "__globals__", {})
        for variable in _globals_of(code) if code is not None else ():
            if isinstance(around.get(variable), Tensor):
                yield from self.value(f"{name}: global {variable}", around[variable], 1)

    def _tensors_of(self, name: str, owner: Any) -> Iterator[tuple[str, Tensor]]:
        """Tensors that are attributes of an object; other objects that it refers to need not be read."""
        for attribute, entry in getattr(owner, "__dict__", {}).items():
            if isinstance(entry, Tensor):
                yield from self.value(f"{name}.{attribute}", entry, 1)

    def _new(self, value: Any) -> bool:
        fresh = id(value) not in self.seen
        self.seen.add(id(value))
        return fresh


_PLAIN = (bool, int, float, complex, str, bytes)
_OPAQUE = (type, types.ModuleType)
_TORCH = frozenset(vars(nn.Module()))  # attributes of every module: parameters, submodules and hooks are walked above


@functools.lru_cache(4096)
def _globals_of(code: types.CodeType) -> tuple[str, ...]:
    return tuple(sorted({i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}))
