"""A catalogue is plain data: an `Entry` names what exists, who published it, and where its code is.

Entries are read by `list`, `show` and the plan, none of which imports torch; `Entry.load` imports the code.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradbench import checks


def overlay(owner: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with what is given in their place; a whole number where the default is a real one becomes real."""
    checks.options(owner, dict(given), defaults)
    real = {key for key, value in defaults.items() if isinstance(value, float)}
    whole = {key for key, value in given.items() if isinstance(value, int) and not isinstance(value, bool)}
    return {**defaults, **given, **{key: float(given[key]) for key in real & whole}}


@dataclass(frozen=True)
class Entry:
    """One line of a catalogue.

    name: the published name, as selectors spell it. summary: one sentence. factory: "module:callable", called with the
    options. citation: authors, year, arXiv number. defaults: every option with its default value. traits: what a plan
    may know without building anything. requires: the distributions that it needs. check: raises `ValueError` for
    option values that it cannot take. refuses: (options, traits of the problem) -> why it cannot serve it, or None.
    """

    name: str
    summary: str
    factory: str
    citation: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, Any] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    check: Callable[[dict[str, Any]], None] = lambda options: None
    refuses: Callable[[Mapping[str, Any], Mapping[str, Any]], str | None] = lambda options, traits: None

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults overlaid by `given`, in the catalogue's order; `ValueError` for a wrong option or value."""
        options = overlay(self.name, self.defaults, given)
        self.check(options)
        return options

    def load(self) -> Any:
        """The factory itself; imports its module."""
        module, _, attribute = self.factory.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{self.name!r} cannot be loaded: {error}") from None


class Catalogue(dict[str, Entry]):
    """Entries by name; a wrong name is one line with the nearest right one."""

    def __init__(self, kind: str, *entries: Entry) -> None:
        super().__init__((entry.name, entry) for entry in entries)
        self.kind = kind

    def find(self, name: str) -> Entry:
        """The entry of that name; `module:factory` names code of one's own, which takes no options."""
        if ":" in name:
            module = name.partition(":")[0]
            try:
                found = importlib.util.find_spec(module) is not None
            except (ImportError, ValueError):
                found = False
            if not found:
                raise ValueError(f"{name!r} cannot be loaded: there is no module {module!r} on the path")
            return Entry(name, "code of the user's own", name, citation="the user's own")
        return self[checks.one_of(self.kind, name, self)]
