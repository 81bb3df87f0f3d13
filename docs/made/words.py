"""Markdown of a catalogue entry: tables of its options, promises and refusals."""

import inspect
from collections.abc import Iterable
from typing import Any

import facts

from gradbench.allowed import allowed
from gradbench.entry import Entry
from gradbench.samplers.catalogue import SAMPLERS

MEANINGS = {
    "exact": "the gradient of the sampler that is run, to rounding",
    "order": "the power of 1/N with which it tends to the gradient of the flow",
    "memory": "how live bytes grow with the number of steps",
    "biased": "the mean of its draws is not the expected gradient",
    "draws": "an average over draws, each a chain or a part of one",
    "stochastic": "no differentiable sample, and so not for `gradbench.sample`",
    "coordinates": "two chains for every number that it differentiates by",
}


def table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table, or nothing where it has no rows."""
    lines = [[str(cell).replace("|", "\\|") for cell in cells] for cells in rows]
    head = [list(heads)]
    rule = [["---"] * len(head[0])]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (*head, *rule, *lines)) if lines else ""


def word(value: Any) -> str:
    """A value as selectors spell it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def code(names: Iterable[Any]) -> str:
    """Names in code type."""
    return ", ".join(f"`{name}`" for name in names)


def docstring(thing: Any) -> str:
    """The docstring of a class or function, or of an instance's class."""
    return inspect.getdoc(thing) or ""


def parts(entry: Entry) -> str:
    """The docstrings of an estimator's parts (recovery, pullback, law), each with the setting that first has it."""
    told: dict[type, str] = {}
    for setting, given in facts.settings(entry):
        made = entry.load()(**entry.options(given))
        for part in vars(made).values():
            kind = type(part)
            if kind.__module__.startswith("gradbench.") and kind not in told:
                told[kind] = f"**{kind.__name__}**" + (f", with `{setting}`" if setting else "")
    return "".join(f"{name}. {docstring(kind)}\n\n" for kind, name in told.items())


def options(entry: Entry) -> str:
    """The table of options."""
    rows = []
    for name, default in entry.defaults.items():
        found = allowed(entry.options, name)
        rows.append([f"`{name}`", f"`{word(default)}`", code(found.values) or found.words])
    return table(("option", "default", "allowed"), rows) or "None.\n"


def promises(entry: Entry) -> str:
    """The table of traits, and what options make of them."""
    known, changed = facts.promises(entry)
    rows = [[f"`{key}`", word(value), MEANINGS.get(key, "")] for key, value in known.items() if value]
    text = table(("trait", "by default", "meaning"), rows) or "Nothing is declared: all is measured.\n"
    grouped: dict[str, list[str]] = {}
    for setting, traits in changed:
        told = ", ".join(f"`{key}` {word(value) if value else 'not declared'}" for key, value in traits.items())
        grouped.setdefault(told, []).append(setting)
    lines = [f"- {code(settings)}: {told}." for told, settings in grouped.items()]
    return text + ("\n" + "\n".join(lines) + "\n" if lines else "")


def refusals(entry: Entry) -> str:
    """The table of what an estimator refuses, and why."""
    rows = []
    for reason, ((setting, situation), names) in facts.refusals(entry).items():
        where = [f"with `{setting}`"] * bool(setting) + [situation] * bool(situation)
        who = "every sampler" if len(names) == len(SAMPLERS) else code(names)
        rows.append([", ".join([who, *where]), reason])
    return table(("what", "why"), rows) or "Nothing.\n"
