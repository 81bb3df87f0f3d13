"""User-defined objectives: a module or a function of the sample, or a factory of one."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.entry import Entry
from gradbench.objectives.catalogue import IMAGE, LATENT, ObjectiveSpec

TOLD = ("shape", "seed", "target")  # the arguments that a factory may have


class Function(nn.Module):
    """objective(x)_b = function(x)_b for a function of x (b, *x)."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@dataclass(frozen=True)
class OwnObjective(ObjectiveSpec):
    """An objective whose output is checked: one value per sample, or `ValueError`."""

    def make(self, **told: Any) -> nn.Module:
        found = self.load()
        made = copy.deepcopy(found) if isinstance(found, nn.Module) else found
        if _makes(self.name, found):
            made = found(**{key: told[key] for key in self.takes})
        if not callable(made):
            raise UsageError(
                f"objective {self.name!r} makes {type(made).__name__}, which is not a function of the sample"
            )
        module: nn.Module = made if isinstance(made, nn.Module) else Function(cast(Callable[[Tensor], Tensor], made))
        module.register_forward_hook(_Each(self.name))
        return module


@dataclass(frozen=True)
class _Each:
    """A forward hook: checks that objective(x) has shape (b) for x (b, *x), and a gradient where x requires one.

    Counts and other values that are not floats become floats of x's dtype.
    """

    name: str

    def __call__(self, module: nn.Module, given: tuple[Any, ...], value: Any) -> Tensor:
        if not isinstance(value, Tensor) or value.shape != given[0].shape[:1]:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UsageError(
                f"objective {self.name!r} must give one value per sample, shape ({len(given[0])},), got {shape}: "
                "average over the sample's own axes, not over the batch"
            )
        if torch.is_grad_enabled() and given[0].requires_grad:
            checks.differentiable(f"objective {self.name!r}", value)
        return value if value.is_floating_point() else value.to(given[0].dtype)


def objective(entry: Entry, found: Any) -> ObjectiveSpec:
    """The entry of a user-defined objective, which takes decoded images unless its `on` is `latent`.

    A module, or a function of x (b, *x), is the objective itself. A module class, or a function of any of shape, seed
    and target, is called to make it.
    """
    if isinstance(found, ObjectiveSpec):
        return OwnObjective(**vars(entry))
    if isinstance(found, Entry):
        raise UsageError(f"objective {entry.name!r} is an Entry: it must be an ObjectiveSpec")
    on = checks.one_of(f"`on` of objective {entry.name!r}", getattr(found, "on", IMAGE), (IMAGE, LATENT))
    takes = tuple(name for name in TOLD if name in _arguments(found)) if _makes(entry.name, found) else ()
    return OwnObjective(entry.name, entry.summary, entry.factory, entry.citation, on=on, takes=takes)


def _arguments(found: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(found).parameters)


def _makes(name: str, found: Any) -> bool:
    """Whether the object found is called to make the objective; if not, it is the objective."""
    if isinstance(found, nn.Module):
        return False
    needs = [
        p.name
        for p in _arguments(found).values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if set(needs) <= set(TOLD):
        return True
    if isinstance(found, type) or len(needs) > 1:
        raise UsageError(
            f"objective {name!r} needs {', '.join(needs)}: a function of the sample x, or a class or function that "
            f"needs no more than {', '.join(TOLD)}"
        )
    return False
