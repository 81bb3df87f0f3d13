"""The values that an option takes, from the check that refuses wrong ones, so that nothing is written twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gradbench.checks import UsageError
from gradbench.selector import Options, parse

Check = Callable[[Options], Any]  # raises `UsageError` for an invalid value
WRONG = ("no-such-value", -1.0)


@dataclass(frozen=True)
class Allowed:
    """The values of an option with fixed choices, as selectors spell them, or else the words of its check, if any."""

    values: tuple[str, ...] = ()
    words: str = ""

    def __str__(self) -> str:
        return ", ".join(runs(self.values)) or self.words


def allowed(check: Check, option: str) -> Allowed:
    """The values that an option may take: those listed when a wrong one is refused, each tried, or the words.

    Listed values of which none is taken belong to another choice of the other options: they are words.
    """
    said = ""
    for wrong in WRONG:
        try:
            check({option: wrong})
        except UsageError as error:
            said = str(error)
            if "finite number" not in said:
                break
    _, listed, names = said.partition("allowed: ")
    if not listed:
        _, listed, names = said.partition("allowed names: ")
    values = tuple(name.lower() if name in ("True", "False") else name for name in names.split(", ")) if listed else ()
    taken = tuple(value for value in values if _taken(check, option, value))
    words = said.partition(", got ")[0].removeprefix(f"{option} must ").removeprefix("be ").removeprefix("lie ")
    if taken or not listed and " must " not in said:
        return Allowed(taken)
    if listed:
        return Allowed(words=", ".join(values))
    return Allowed(words=words + (_further(check, option) if words.startswith("an integer >= 1") else ""))


def _further(check: Check, option: str) -> str:
    """A further condition on a whole number: ", a multiple of 8"."""
    try:
        check({option: 1})
    except UsageError as error:
        said, must = str(error).partition(", got ")[0], f"{option} must be "
        return f", {said.removeprefix(must)}" if said.startswith(must) else ""
    return ""


def _taken(check: Check, option: str, text: str) -> bool:
    try:
        check(parse(f"x[{option}={text}]")[1])
    except UsageError:
        return False
    return True


def runs(values: tuple[str, ...]) -> Iterator[str]:
    """The values, with four or more consecutive whole numbers as "1 to 32"."""
    place = 0
    while place < len(values):
        end = place
        while end + 1 < len(values) and values[end].isdigit() and values[end + 1] == str(int(values[end]) + 1):
            end += 1
        if end - place >= 3:
            yield f"{values[place]} to {values[end]}"
            place = end + 1
        else:
            yield values[place]
            place += 1
