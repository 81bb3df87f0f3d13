"""The outcome of a check: what it measured if the property holds, else `Failed` or `Skipped` with the reason."""

from dataclasses import dataclass


class Failed(AssertionError):
    """The property does not hold; the message says where and by how much."""


class Skipped(Exception):
    """The property was not promised, or cannot be tested; the message says why, and what was measured."""


def demand(holds: bool, message: str) -> None:
    """Raise `Failed` with the message if the property does not hold."""
    if not holds:
        raise Failed(message)


def promise(made: bool, holds: bool, measured: str, message: str, none: str = "not declared") -> str:
    """`measured` if a promise is kept; raises `Failed` if it is broken, `Skipped` with `none` if none was made."""
    if not made:
        raise Skipped(f"{none}; measured {measured}")
    demand(holds, message)
    return measured


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check of an estimator. status: ok, failed or skipped. said: what was measured, or the reason."""

    estimator: str
    check: str
    property: str
    status: str
    said: str
