"""What a check says of an estimator: a number where the property holds, else `Failed` or `Skipped` with the reason."""

from dataclasses import dataclass


class Failed(AssertionError):
    """The property does not hold; the message says where and by how much."""


class Skipped(Exception):
    """The property was not promised, or there is nothing to try it on; the message says which, and what was seen."""


def demand(holds: bool, message: str) -> None:
    """`Failed` with that message where the property does not hold."""
    if not holds:
        raise Failed(message)


def promise(made: bool, holds: bool, measured: str, message: str, none: str = "not declared") -> str:
    """What was measured: returned where a promise is kept, `Failed` where not, `Skipped` where `none` was made."""
    if not made:
        raise Skipped(f"{none}; measured {measured}")
    demand(holds, message)
    return measured


@dataclass(frozen=True)
class Verdict:
    """One check of one estimator. status: ok, failed or skipped; said: the number measured, or the reason."""

    estimator: str
    check: str
    property: str
    status: str
    said: str
