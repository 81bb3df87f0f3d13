"""What a network is told besides x and the time: conditions and extra inputs, for a batch and for guidance."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import keystr, tree_flatten_with_path, tree_map_with_path

from gradbench.checks import UsageError
from gradbench.diffusion.batch import repeated


@dataclass(frozen=True)
class Conditions:
    """The inputs of a network besides x and the time, for the sample and for the null prediction of guidance."""

    condition: Tensor | None = None
    null_condition: Tensor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    null_extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Batch:
    """How inputs are expanded to the batch of x (b, *x): `copies` of them, `batched` conditions, `shared` extras."""

    x: Tensor
    copies: int
    batched: bool
    shared: Collection[str]

    def condition(self, condition: Tensor | None) -> Tensor | None:
        """The condition, expanded to the batch."""
        if condition is None:
            return None
        size = len(self.x)
        if self.batched:
            condition = _of_copies(condition, self.copies)
        if self.batched and condition.shape[0] not in (1, size):
            raise UsageError(
                f"the condition {tuple(condition.shape)} has {condition.shape[0]} rows and the batch {size} "
                "samples: with batched=True it needs one row per sample (as many prompts as noises), or one for all"
            )
        own = condition.shape[1:] if self.batched else condition.shape
        return condition.to(self.x.device, self.x.dtype).expand(size, *own)

    def extra(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The extra inputs, expanded to the batch; integer tensors keep their dtype."""
        size = len(self.x)

        def expand(path: tuple[Any, ...], tensor: Any) -> Any:
            if not isinstance(tensor, Tensor):
                return tensor
            if path[0].key in self.shared:
                return tensor.to(self.x.device)
            tensor = _of_copies(tensor, self.copies) if tensor.ndim else tensor
            if tensor.ndim == 0 or tensor.shape[0] not in (1, size):
                raise UsageError(
                    f"extra{keystr(path)} has shape {tuple(tensor.shape)} and the batch {size} samples: allowed is "
                    f"a leading axis of 1 or {size}"
                )
            moved = tensor.to(self.x.device, self.x.dtype if tensor.is_floating_point() else tensor.dtype)
            return moved.expand(size, *tensor.shape[1:]).contiguous()

        return tree_map_with_path(expand, dict(extra))

    def doubled(self, said: Conditions) -> tuple[Tensor | None, dict[str, Any]]:
        """The condition and the extra inputs of guidance's doubled batch: the null prediction's, then the sample's."""
        refuse_unlike(said, self.shared)
        null, own = self.condition(said.null_condition), self.condition(said.condition)
        both = None if null is None or own is None else _joined(null, own)
        null_extra = _entries(self.extra(said.null_extra))

        def double(path: tuple[Any, ...], value: Any) -> Any:
            alone = path[0].key in self.shared or not isinstance(value, Tensor)
            return value if alone else torch.cat([null_extra[path], value])

        return both, tree_map_with_path(double, self.extra(said.extra))


def refuse_unlike(said: Conditions, shared: Collection[str]) -> None:
    """`ValueError` for inputs of the null prediction that no doubled batch can contrast with those of the sample.

    Both have the same entries, and those that differ are tensors with rows.
    """
    if (said.condition is None) != (said.null_condition is None):
        lacking = "condition" if said.condition is None else "null_condition"
        raise UsageError(f"guidance reads a {lacking} too: give both condition and null_condition, or neither")
    own, null = _entries(said.extra), _entries(said.null_extra)
    for path in {**own, **null}:
        where, rows = keystr(path), path[0].key not in shared
        if path not in null and not rows:
            continue
        if path not in own or path not in null:
            raise UsageError(
                f"{'extra' if path not in own else 'null_extra'} has no {where}, and guidance contrasts the two entry "
                "by entry: give both the same entries"
            )
        if not _contrasted(own[path], null[path], rows):
            allowed = "tensors with a leading axis of 1 or b and otherwise one shape" if rows else "one value for both"
            raise UsageError(
                f"guidance cannot contrast extra{where}, {_shown(own[path])}, with null_extra{where}, "
                f"{_shown(null[path])}: allowed are {allowed}"
            )


def _entries(extra: Mapping[str, Any]) -> dict[tuple[Any, ...], Any]:
    """The values in a mapping of any depth, by their path."""
    return dict(tree_flatten_with_path(dict(extra))[0])


def _contrasted(own: Any, null: Any, rows: bool) -> bool:
    """Whether a doubled batch can hold both: the same value twice, or rows of two tensors."""
    if own is null:
        return True
    if isinstance(own, Tensor) and isinstance(null, Tensor):
        return own.shape[1:] == null.shape[1:] if rows else torch.equal(own, null)
    try:
        return type(own) is type(null) and bool(own == null)
    except (RuntimeError, ValueError):  # arrays, which have no one truth value
        return False


def _shown(value: Any) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"{' '.join(repr(value).split()):.60}"


def _of_copies(told: Tensor, copies: int) -> Tensor:
    """One row per sample, repeated for every copy of the samples; a single row for all samples stays one row."""
    return told if copies == 1 or told.shape[0] == 1 else repeated(told, copies)


def _joined(null: Tensor, conditional: Tensor) -> Tensor:
    if null.shape != conditional.shape:
        raise UsageError(
            f"null_condition {tuple(null.shape)} and condition {tuple(conditional.shape)} must have one shape: "
            "pad the shorter prompt"
        )
    return torch.cat([null, conditional])
