"""The grammar of weighted sums, `0.5*jpeg-size + 2*colourfulness - style`."""

import re
from collections.abc import Iterable

from gradbench import checks
from gradbench.checks import UsageError

OWN = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"  # user-defined code, by its location


def parse_sum(text: str, allowed: Iterable[str]) -> list[tuple[float, str]]:
    """The pairs (weight, name) of a sum in the order written; a text that is an allowed name is that name alone.

    A term is a name, or number*name, and terms are joined by + and -, which may also precede the first. Names may
    contain signs: the longest allowed name followed by a sign or the end is taken. `module:attribute` is also a name. A
    one-line `ValueError`, with the allowed names, for any other text; `ValueError` for a weight that is not finite.
    """
    names = list(allowed)
    if text in names or isinstance(text, str) and re.fullmatch(OWN, text):
        return [(1.0, text)]
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    term = re.compile(
        rf"\s*(?P<sign>[+-]?)\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*\s*)?"
        rf"(?P<name>{longest_first}|{OWN})\s*(?=[+-]|\Z)"
    )
    terms: list[tuple[float, str]] = []
    place = 0
    while not terms or place < len(text):
        match = term.match(text, place) if isinstance(text, str) else None
        if match is None:
            rest = f" at {text[place:].strip()!r}" if terms else ""
            raise UsageError(
                f"malformed objective {text!r}{rest}: write name, or a sum such as 0.5*name-2*name; "
                f"allowed names: {', '.join(names)}"
            )
        number = checks.finite(f"weight in {text!r}", float(match["number"] or 1))
        terms.append((-number if match["sign"] == "-" else number, match["name"]))
        place = match.end()
    return terms
