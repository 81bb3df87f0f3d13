"""Traits: typed facts about an estimator, a sampler or a problem, known before it is built; no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from gradbench import checks


@dataclass(frozen=True, kw_only=True, eq=False)
class Traits(Mapping[str, Any]):
    """A dataclass of facts, each with a type and a default, that can also be read as a mapping.

    It equals every mapping with the same names and values. `said` holds only the facts that were given, in order.
    """

    def __new__(cls, **said: Any) -> Self:
        made = super().__new__(cls)
        object.__setattr__(made, "_said", tuple(said))
        return made

    @classmethod
    def of(cls, owner: str, said: Mapping[str, Any]) -> Self:
        """The traits that a mapping gives; `ValueError` for an unknown name, in words about `owner`."""
        if isinstance(said, cls):
            return said
        checks.options(f"traits of {owner}", said, cls.names())
        return cls(**said)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all facts."""
        return tuple(each.name for each in fields(cls))

    @property
    def said(self) -> Mapping[str, Any]:
        """The facts that were given."""
        return {name: getattr(self, name) for name in vars(self)["_said"]}

    def amended(self, changes: Mapping[str, Any]) -> Self:
        """These facts overlaid by others: by all of a mapping, or by those that other traits were given."""
        return type(self)(**{**self.said, **(changes.said if isinstance(changes, Traits) else changes)})

    def __getitem__(self, name: str) -> Any:
        if name not in self.names():
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())
