"""Parameters of which the ordinary run takes a few, and `make test-all` every one."""

from collections.abc import Iterable
from typing import Any

import pytest


def quick(values: Iterable[Any], *places: int) -> list[Any]:
    """The values as parameters, those that are not at one of `places` marked slow."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=() if i in places else pytest.mark.slow)
        for i, value in enumerate(values)
    ]
