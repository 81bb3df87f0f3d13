"""For authors of estimators: conformance checks, Hypothesis strategies, and faulty estimators."""

from typing import TYPE_CHECKING, Any

from gradbench.testing.plugin import conformance

if TYPE_CHECKING:
    from gradbench.testing.distance import assert_close

__all__ = ["assert_close", "conformance"]


def __getattr__(name: str) -> Any:
    if name == "assert_close":  # imported only when used, as it needs torch
        from gradbench.testing.distance import assert_close

        return assert_close
    raise AttributeError(f"module 'gradbench.testing' has no attribute {name!r}")
