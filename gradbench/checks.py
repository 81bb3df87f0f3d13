"""Every input check of the package: each raises `UsageError` with the value given and the values allowed."""

import difflib
import errno
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class UsageError(ValueError):
    """The request is not possible; the message gives the value, those allowed, and the remedy.

    A `ValueError` that is not a `UsageError` is a bug, or an error of a module outside gradbench: see `of_users`.
    """


@contextmanager
def of_users(theirs: bool) -> Iterator[None]:
    """Runs a check: any `ValueError` of a user's own code is wrong usage, of gradbench's own only a `UsageError`."""
    try:
        yield
    except ValueError as error:
        if theirs:
            raise UsageError(str(error)) from None
        raise


DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


@contextmanager
def writing(name: str, path: Path) -> Iterator[None]:
    """A path that can be written to; what the disk refuses, full or broken, stays an `OSError`."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK:
            raise
        raise UsageError(f"{name} {str(path)!r} cannot be written to: {error.strerror or error}") from None


def plain(value: Any) -> Any:
    """A number of numpy's as Python's own; any other value as it is."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value


def positive_integer(name: str, value: Any) -> int:
    """An integer of at least 1."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} must be an integer >= 1, got {value!r}")
    return value


def natural(name: str, value: Any) -> int:
    """An integer of at least 0."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{name} must be an integer >= 0, got {value!r}")
    return value


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """A member of `allowed`, with True and 1 distinct; the message suggests the nearest name."""
    choices = list(allowed)
    if any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in choices):
        return value
    words = [choice for choice in choices if isinstance(choice, str)]
    near = difflib.get_close_matches(value, words, n=1, cutoff=0.6) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    raise UsageError(f"unknown {name} {value!r}{hint} allowed: {', '.join(map(str, choices))}")


def finite(name: str, value: Any) -> float:
    """A finite real number."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    if finite(name, value) <= 0:
        raise UsageError(f"{name} must be > 0, got {value!r}")
    return float(value)


def in_range(name: str, value: Any, low: float, high: float) -> float:
    """A finite number with low <= value <= high."""
    number = finite(name, value)
    if not low <= number <= high:
        raise UsageError(f"{name} must lie in [{low:g}, {high:g}], got {value!r}")
    return number


def time_range(t_max: float, t_min: float, t_end: float = 1.0) -> None:
    """The noisy end of a time range lies above its clean end: 0 <= t_min < t_max <= t_end."""
    in_range("t_max", t_max, 0.0, t_end)
    in_range("t_min", t_min, 0.0, t_end)
    if t_min >= t_max:
        raise UsageError(f"t_max must be greater than t_min, got t_max={t_max!r}, t_min={t_min!r}")


def options(owner: str, given: Mapping[str, Any], allowed: Iterable[str]) -> Mapping[str, Any]:
    """The options of `owner`, all of them known."""
    names = sorted(allowed)
    for key in given:
        if key not in names:
            one_of(f"option of {owner}", key, names or ["(none)"])
    return given


def shape(name: str, got: Iterable[int], expected: Iterable[int]) -> None:
    """Equal shapes."""
    if tuple(got) != tuple(expected):
        raise UsageError(f"{name} must have shape {tuple(expected)}, got {tuple(got)}")


def times(name: str, values: Any) -> list[float] | None:
    """The times of a grid as a list, from any iterable of numbers; None for None.

    They are used as Python floats, so one that requires a gradient is refused: its gradient would be silently lost.
    """
    import torch

    if values is None:
        return None
    wrong = UsageError(f"{name} must be a list of decreasing times, got {' '.join(repr(values).split()):.80}")
    try:
        held = list(values)
    except TypeError:
        raise wrong from None
    if any(isinstance(value, torch.Tensor) and value.requires_grad for value in held):
        raise UsageError(
            f"{name} must not require a gradient: its times are used as numbers, and the gradient would be lost; "
            f"pass {name}.tolist()"
        )
    try:
        return [value if isinstance(value, float) else float(value) for value in held]
    except (TypeError, ValueError, RuntimeError):
        raise wrong from None


def differentiable(name: str, value: Any) -> None:
    """A value of the tape, computed from a sample that requires a gradient."""
    if not value.requires_grad:
        raise UsageError(
            f"{name} has no gradient at x_0 (it is constant, detached, or of integers): use an estimator that needs "
            "none, such as reinforce, or an objective that torch can differentiate"
        )


def tensor(name: str, value: Any) -> Any:
    """A tensor."""
    import torch

    if not isinstance(value, torch.Tensor):
        raise UsageError(f"{name} must be a tensor, got {type(value).__name__}: give torch.as_tensor({name})")
    return value


def tensor_or_none(name: str, value: Any) -> Any:
    """A tensor or None."""
    return None if value is None else tensor(name, value)


def seed(value: Any) -> int:
    """An integer of at least 0."""
    return natural("seed", value)


DTYPES = ("float64", "float32", "tf32", "bfloat16", "float16")
TF32 = "tf32"  # float32 whose matrix products and convolutions a GPU rounds to 11 bits


def dtype(value: Any) -> Any:
    """A floating torch dtype, from itself or its name; for tf32 it is float32."""
    import torch

    name = str(value).removeprefix("torch.")
    return torch.float32 if name == TF32 else getattr(torch, one_of("dtype", name, DTYPES))


def device_name(value: Any, name: str = "device") -> str:
    """`cpu`, `cuda` or `cuda:1`, whether or not it exists here."""
    if not isinstance(value, str) or not re.fullmatch(r"cpu|cuda(:\d+)?", value):
        raise UsageError(f"unknown {name} {value!r}; allowed: cpu, cuda, cuda:N")
    return value


def batch(name: str, value: Any) -> Any:
    """A floating tensor (b, *x) with b >= 1."""
    import torch

    if not isinstance(value, torch.Tensor):
        raise UsageError(f"{name} must be a tensor (b, *x), got {type(value).__name__}")
    if not value.is_floating_point() or value.ndim < 2 or len(value) < 1:
        raise UsageError(
            f"{name} must be a floating tensor (b, *x) with b >= 1, got {value.dtype} {tuple(value.shape)}"
        )
    return value


def images(name: str, value: Any, least: int = 1) -> Any:
    """A floating tensor (b, 3, h, w) with b >= 1 and both sides of at least `least` pixels."""
    batch(name, value)
    if value.ndim != 4 or value.shape[1] != 3 or min(value.shape[2:]) < least:
        raise UsageError(f"{name} must be images (b, 3, h, w) with h, w >= {least}, got {tuple(value.shape)}")
    return value


def array(name: str, value: Any) -> Any:
    """A float64 tensor of finite real numbers, from any array-like value."""
    import torch

    try:
        tensor = torch.as_tensor(value)
        if tensor.is_complex():
            raise UsageError("complex numbers")
        tensor = tensor.detach().to(torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{name} must be an array of real numbers, got {str(value)[:60]!r} ({error})") from None
    if tensor.numel() == 0 or not torch.isfinite(tensor).all():
        raise UsageError(f"{name} must be finite and not empty, got {tensor.tolist()!r:.80}")
    return tensor


def device(value: Any) -> Any:
    """A torch device that exists here: cpu, or cuda where there is one."""
    import torch

    name = str(value)
    device_name(name)
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(
            f"device {name!r} is not available here: torch {torch.__version__} sees no CUDA device; use cpu"
        )
    return torch.device(name)
