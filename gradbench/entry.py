"""A catalogue is plain data: an `Entry` states a name, who published the method, and where its code is.

`list`, `show` and the plan read entries without importing torch; `Entry.load` imports the code.
"""

import importlib
import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Generic, Self, TypeVar

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.plugins import Plugin, Plugins, spec_of
from gradbench.selector import Options


def overlay(owner: str, defaults: Options, given: Options) -> Options:
    """The defaults overlaid by the given options; an integer given for a float default becomes a float."""
    checks.options(owner, given, defaults)
    given = {key: checks.plain(value) for key, value in given.items()}
    real = {key for key, value in defaults.items() if isinstance(value, float)}
    whole = {key for key, value in given.items() if isinstance(value, int) and not isinstance(value, bool)}
    return {**defaults, **given, **{key: float(given[key]) for key in real & whole}}


@dataclass(frozen=True)
class Entry:
    """One line of a catalogue.

    name: the published name, as selectors spell it. summary: one sentence. factory: "module:callable", called with the
    options. citation: authors, year, arXiv number. defaults: every option with its default value. traits: what a plan
    may know without building anything. requires: the distributions that it needs. check: raises `UsageError` for
    invalid option values; any `ValueError` of a user's own will do. refuses: (options, traits of the problem) -> why it
    does not support the problem, or None. declares: options -> the traits that depend on them. The lines of samplers
    and of estimators have typed traits.
    """

    name: str
    summary: str
    factory: str
    citation: str = ""
    defaults: Options = field(default_factory=dict[str, Any])
    traits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    requires: tuple[str, ...] = ()
    check: Callable[[Options], None] = lambda options: None
    refuses: Callable[[Options, Any], str | None] = lambda options, traits: None
    declares: Callable[[Options], Mapping[str, Any]] = lambda options: {}

    @classmethod
    def of(cls, entry: "Entry") -> Self:
        """A plain entry as one of this kind."""
        if isinstance(entry, cls):
            return entry
        return cls(**{each.name: getattr(entry, each.name) for each in fields(Entry)})

    def options(self, given: Options) -> Options:
        """The defaults overlaid by `given`, in the catalogue's order; `ValueError` for a wrong option or value."""
        options = overlay(self.name, self.defaults, given)
        with checks.of_users(theirs=not self.ours):
            self.check(options)
        return options

    @property
    def ours(self) -> bool:
        """Whether gradbench itself has its code, where a `ValueError` that is no `UsageError` is a bug."""
        return self.factory.startswith("gradbench.")

    def load(self) -> Any:
        """The factory itself; imports its module."""
        return load(self.name, self.factory)


def load(name: str, place: str) -> Any:
    """The object at `place`, "module:attribute"; `ValueError` with `name` if it cannot be imported."""
    module, _, attribute = place.partition(":")
    try:
        return operator.attrgetter(attribute)(importlib.import_module(module))
    except Exception as error:  # a user's module may raise anything
        raise _unloadable(name, error) from None


def _unloadable(name: str, error: Exception) -> UsageError:
    kind = "" if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: "
    return UsageError(f"{name!r} cannot be loaded: {kind}{error}")


E = TypeVar("E", bound=Entry)
YOURS = "the user's own"


class Catalogue(dict[str, E], Generic[E]):
    """Entries by name, all of the class of the first; an unknown name is a one-line error with the nearest known one.

    group: the entry points by which other packages add entries, looked up when a name is not one of these or when
    `plugins` is read. own: "module:function" that makes, from a plain entry and the object found, the entry of
    user-defined code or of another package; None where the plain entry will do.
    """

    def __init__(self, kind: str, first: E, *others: E, group: str = "", own: str | None = None) -> None:
        super().__init__((entry.name, entry) for entry in (first, *others))
        self.kind, self.line, self.group, self.own = kind, type(first), group, own

    def __setitem__(self, name: str, entry: Entry) -> None:
        super().__setitem__(name, self.line.of(entry))

    @cached_property
    def plugins(self) -> Plugins:
        """The entries that other packages offer, none of them loaded."""
        return Plugins(self.group, self)

    def find(self, name: str) -> E:
        """The entry of that name, from gradbench or another package; `module:attribute` names your own code."""
        if name in self:
            return self[name]
        if ":" in name:
            module = name.partition(":")[0]
            try:
                found = spec_of(module)
            except Exception as error:  # raised by a parent package
                raise _unloadable(name, error) from None
            if found is None:
                raise UsageError(f"{name!r} cannot be loaded: there is no module {module!r} on the path")
            return self._made(Plugin(name, name, YOURS, "user code"))
        return self._made(self.plugins[checks.one_of(self.kind, name, [*self, *self.plugins])])

    def _made(self, plugin: Plugin) -> E:
        found = load(plugin.name, plugin.place)
        entry = entry_of(plugin, found)
        return self.line.of(load(self.own, self.own)(entry, found) if self.own else entry)


def entry_of(plugin: Plugin, found: Any) -> Any:
    """The entry of code from outside gradbench: its own `Entry`, or one made from a class or function's signature."""
    if isinstance(found, Entry):
        return replace(found, name=plugin.name)
    if not callable(found) and type(found).__module__ == "builtins":
        raise UsageError(f"{plugin.name!r} of {plugin.package} gives {found!r:.60}; it must give an Entry or a class")
    summary, traits = getattr(found, "__doc__", None) or plugin.summary, getattr(found, "traits", {})
    first = summary.strip().partition("\n")[0]
    return Entry(plugin.name, first, plugin.place, plugin.package, options_of(found), traits)


def options_of(found: Any) -> Options:
    """The options of a user-defined class or function: its arguments whose default is None, a number or a word."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # not callable, or written in C
        return {}
    named = (p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    return {p.name: p.default for p in named if p.default is None or type(p.default) in (bool, int, float, str)}
