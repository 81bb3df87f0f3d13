"""Every input check of the package: each raises `ValueError` with the value given and the values allowed."""

import difflib
import math
from collections.abc import Iterable
from typing import Any


def positive_integer(name: str, value: Any) -> int:
    """An integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {value!r}")
    return value


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """A member of `allowed`; the message suggests the nearest name."""
    choices = list(allowed)
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value), [str(c) for c in choices], n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {name} {value!r}{hint} Allowed: {', '.join(map(str, choices))}")


def finite(name: str, value: Any) -> float:
    """A finite real number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def in_range(name: str, value: Any, low: float, high: float) -> float:
    """A finite number with low <= value <= high."""
    number = finite(name, value)
    if not low <= number <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got {value!r}")
    return number


def time_range(t_max: float, t_min: float, t_end: float = 1.0) -> None:
    """The noisy end of a time range lies above its clean end: 0 <= t_min < t_max <= t_end."""
    in_range("t_max", t_max, 0.0, t_end)
    in_range("t_min", t_min, 0.0, t_end)
    if t_min >= t_max:
        raise ValueError(f"t_max must be greater than t_min, got t_max={t_max!r}, t_min={t_min!r}")


def options(owner: str, given: dict[str, Any], allowed: Iterable[str]) -> dict[str, Any]:
    """The options of `owner`, all of them known."""
    names = sorted(allowed)
    for key in given:
        if key not in names:
            one_of(f"option of {owner}", key, names or ["(none)"])
    return given


def shape(name: str, got: Iterable[int], expected: Iterable[int]) -> None:
    """Equal shapes."""
    if tuple(got) != tuple(expected):
        raise ValueError(f"{name} must have shape {tuple(expected)}, got {tuple(got)}")


def seed(value: Any) -> int:
    """An integer of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"seed must be an integer >= 0, got {value!r}")
    return value


DTYPES = ("float64", "float32", "bfloat16", "float16")


def dtype(value: Any) -> Any:
    """A floating torch dtype, from itself or from its name."""
    import torch

    name = str(value).removeprefix("torch.")
    return getattr(torch, one_of("dtype", name, DTYPES))


def device(value: Any) -> Any:
    """A torch device that exists here: cpu, or cuda where there is one."""
    import torch

    name = str(value)
    one_of("device", name.partition(":")[0], ("cpu", "cuda"))
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(
            f"device {name!r} is not available here: torch {torch.__version__} sees no CUDA device; use cpu"
        )
    return torch.device(name)
