"""Numbers as a reader wants them: errors in two digits, time in s or ms, memory in MiB."""

from gradbench.analysis.numbers import is_finite

MIB = 1024**2


def error(value: float | None) -> str:
    """A relative error, two significant digits: 0.0123 is "1.2e-02"."""
    if value is None:
        return "unknown"
    if value == 0:
        return "exactly 0"
    return f"{value:.1e}" if is_finite(value) else "not finite"


def share(value: float) -> str:
    """A relative error for a sentence: 0.0123 is "1.2 %", 1.4 "140 %", and 1.2e-6 stays "1.2e-06"."""
    if not is_finite(value) or 0 < value < 1e-4 or value > 1e3:
        return error(value)
    return f"{float(f'{100 * value:.2g}'):,g} %"


def seconds(value: float | None) -> str:
    """A duration in the unit that reads best: 0.0123 is "12.3 ms"."""
    if value is None or not is_finite(value):
        return "unknown time"
    scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms")) if value >= s), (1e-6, "us"))
    return f"{value / scale:.3g} {unit}"


def mebibytes(value: float | None) -> str:
    """Bytes as MiB: 3145728 is "3 MiB"."""
    return f"{value / MIB:.3g} MiB" if value is not None and is_finite(value) else "unknown memory"


def times(value: float | None) -> str:
    """A ratio: 1.234 is "1.2 ×", 123 "120 ×"."""
    return f"{float(f'{value:.2g}'):,g} ×" if value is not None and is_finite(value) else ""
