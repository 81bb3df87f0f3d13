"""What a denoiser visibly holds, which the network may read besides its arguments: tensors, and plain values."""

import collections
import dis
import functools
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

DEPTH = 4  # nesting depth of containers
WIDTH = 1000  # the size up to which containers are searched for plain values
LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "peft", "gradbench")


def held_tensors(
    denoiser: nn.Module, others: Mapping[str, Any] | None = None, wide: bool = False
) -> Iterator[tuple[str, Tensor]]:
    """Yields (name, tensor) for parameters, buffers, and tensors in attributes, containers, hooks and closures.

    The search covers attributes of the denoiser and its submodules, mappings and sequences, modules in these, plain
    objects held by a module, forward hooks, functions (closures, defaults, partial arguments, global tensors named in
    their code), and the objects to which bound methods belong. It misses tensors that are reached in other ways:
    through a global object, a file or an extension. others: further values that are read, by name. wide: see
    `held_values`.
    """
    walk = _Walk(wide)
    for name, value in (others or {}).items():
        yield from walk.value(name, value, DEPTH)
    yield from ((name, value) for name, value in walk.module("", denoiser) if isinstance(value, Tensor))


def held_values(denoiser: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yields (name, value) for the tensors, plain values and functions that a denoiser holds, in a wider search.

    It also covers what plain objects hold in containers and modules, global values named in code (in methods, nested
    functions and helpers, too), class attributes, and every module's `forward`. It may therefore find what no network
    reads. It misses what objects hold in further objects, what modules of Python hold, and a library's own code.
    """
    return _Walk(wide=True).module("", denoiser)


class _Walk:
    """One walk over everything a module holds; each object is visited once, and kept, so that no other has its id."""

    def __init__(self, wide: bool = False) -> None:
        self.wide = wide
        self.seen: dict[int, Any] = {}

    def module(self, prefix: str, root: nn.Module) -> Iterator[tuple[str, Any]]:
        for path, module in root.named_modules(prefix=prefix):
            if self._new(module):
                dot = f"{path}." if path else ""
                own = {**module._parameters, **module._buffers}
                yield from ((dot + name, tensor) for name, tensor in own.items() if tensor is not None)
                yield from self._class(dot, type(module))
                for hooks in (module._forward_hooks, module._forward_pre_hooks):
                    for hook in hooks.values():
                        yield from self.value(f"{dot}hook", hook, DEPTH)
                for name, value in vars(module).items():
                    if name in _TORCH or value is None:
                        continue
                    if _plain(value):  # most attributes are: no walk for them
                        if self.wide:
                            yield dot + name, value
                    else:
                        yield from self.value(dot + name, value, DEPTH)

    def value(self, name: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
        """What is in the value of an attribute."""
        if isinstance(value, Tensor):
            if self._new(value):
                yield name, value
        elif isinstance(value, nn.Module):
            yield from self.module(name, value)
        elif value is None or _plain(value):
            if self.wide and value is not None:
                yield name, value
        elif depth == 0 or not self._new(value):
            return
        elif isinstance(value, (Mapping, *_SERIES)):
            if not self.wide or len(value) <= WIDTH:
                for key, entry in value.items() if isinstance(value, Mapping) else enumerate(value):
                    yield from self.value(f"{name}[{key!r}]", entry, depth - 1)
        elif isinstance(value, functools.partial):
            for entry in (value.func, value.args, value.keywords):
                yield from self.value(name, entry, depth - 1)
        elif isinstance(value, types.MethodType):
            yield from self.value(name, value.__func__, depth - 1)
            yield from self._owner(name, value.__self__, depth)
        elif isinstance(value, types.FunctionType):
            yield from self._function(name, value, depth)
        elif not isinstance(value, _OPAQUE):
            yield from self._owner(name, value, depth)

    def _function(self, name: str, function: types.FunctionType, depth: int) -> Iterator[tuple[str, Any]]:
        if self.wide:
            yield name, function
        free = function.__code__.co_freevars
        for variable, cell in zip(free, function.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:  # not yet assigned
                continue
            yield from self.value(f"{name}: {variable}", content, depth - 1)
        for default in (function.__defaults__, function.__kwdefaults__):
            yield from self.value(f"{name}: default", default, depth - 1)
        yield from self._code(name, function, depth)

    def _code(self, name: str, function: types.FunctionType, depth: int) -> Iterator[tuple[str, Any]]:
        """Global values that are named in a function's code: tensors alone, unless `wide`."""
        if self.wide and (of_library(function) or function.__module__ in sys.stdlib_module_names):
            return
        for variable in _globals_of(function.__code__, self.wide):
            value = function.__globals__.get(variable)
            if isinstance(value, Tensor) or self.wide:
                yield from self.value(f"{name}: global {variable}", value, depth - 1)

    def _class(self, dot: str, kind: type) -> Iterator[tuple[str, Any]]:
        """The `forward` of a class; if `wide`, also the attributes and methods of classes that are no library's."""
        if not self._new(kind):
            return
        forward: Any = getattr(kind, "forward", None)
        if isinstance(forward, types.FunctionType):
            yield from self._code(dot + "forward", forward, DEPTH)
            if self.wide:
                yield dot + "forward", forward
        for base in kind.__mro__[:-1] if self.wide else ():
            if not of_library(base) and (base is kind or self._new(base)):
                for name, value in vars(base).items():
                    if not name.startswith("__"):
                        yield from self.value(dot + name, value, DEPTH - 1)

    def _owner(self, name: str, owner: Any, depth: int) -> Iterator[tuple[str, Any]]:
        """What a plain object holds: tensors; if `wide`, also containers and modules, but not further objects."""
        if isinstance(owner, nn.Module):
            yield from self.module(name, owner)
            return
        for attribute, entry in _attributes(owner):
            if isinstance(entry, Tensor):
                yield from self.value(f"{name}.{attribute}", entry, 1)
            elif self.wide and depth > 2:
                yield from self.value(f"{name}.{attribute}", entry, 2)

    def _new(self, value: Any) -> bool:
        fresh = id(value) not in self.seen
        self.seen[id(value)] = value
        return fresh


_PLAIN = frozenset({bool, int, float, complex, str, bytes})
_SERIES: Any = (list, tuple, set, frozenset, collections.deque, type({}.values()))
_OPAQUE = (type, types.ModuleType)
_TORCH = frozenset(vars(nn.Module()))  # attributes of every module: parameters, submodules and hooks are walked above


def _plain(value: Any) -> bool:
    """Whether a value is plain: a number, a text, or a list or tuple of such alone."""
    kind = type(value)
    return kind in _PLAIN or (kind is tuple or kind is list) and all(type(entry) in _PLAIN for entry in value)


def _attributes(owner: Any) -> list[tuple[str, Any]]:
    """The attributes of an object, in its `__dict__` and its slots."""
    slots = [getattr(kind, "__slots__", ()) for kind in type(owner).__mro__]
    names = [name for own in slots for name in ((own,) if isinstance(own, str) else own)]
    held = [(name, getattr(owner, name)) for name in names if name[:2] != "__" and hasattr(owner, name)]
    return [*getattr(owner, "__dict__", {}).items(), *held]


def of_library(code: Any) -> bool:
    """Whether a function or a class is one of a library that models are made with."""
    return (getattr(code, "__module__", None) or "").partition(".")[0] in LIBRARIES


@functools.lru_cache(4096)
def _globals_of(code: types.CodeType, nested: bool = False) -> tuple[str, ...]:
    """Global names in a function's code; nested: also in that of functions and comprehensions within it."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    for inner in code.co_consts if nested else ():
        if isinstance(inner, types.CodeType):
            names |= set(_globals_of(inner, True))
    return tuple(sorted(names))
