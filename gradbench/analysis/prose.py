"""Pieces of sentences: lists, names, targets. Names of estimators, cases and samplers stand in backticks."""

from collections.abc import Iterable, Sequence

from gradbench.analysis.cells import TARGETS

NAMED = 3


def listed(words: Sequence[str]) -> str:
    """["a", "b", "c"] is "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def quoted(name: str) -> str:
    """The name in backticks; its own become apostrophes."""
    return f"`{name.replace('`', chr(39))}`"


def names(found: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    given = list(found)
    shown = [quoted(name) for name in given[:NAMED]]
    return listed([*shown, *([f"{len(given) - NAMED} more"] if len(given) > NAMED else [])])


def targets(found: Iterable[str]) -> str:
    """The targets in their order; "every target" where it is all."""
    asked = set(found)
    given = [target for target in TARGETS if target in asked]
    return "every target" if len(given) == len(TARGETS) else listed(given)


def capital(sentence: str) -> str:
    """The first letter large, all others as they are."""
    return sentence[:1].upper() + sentence[1:]


def plural(count: int, thing: str) -> str:
    """plural(1, "case") is "one case", plural(1200, "case") "1,200 cases"."""
    return f"one {thing}" if count == 1 else f"{count:,} {thing}s"
