"""Numbers and names as a reader wants them: errors to two digits, times in s or ms, lists, plurals, quotations."""

from collections.abc import Iterable, Sequence

from gradbench.analysis.rows import is_finite
from gradbench.problems.spec import TARGETS

MIB = 1024**2
NAMED = 3


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
    scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms")) if value >= 0.9995 * s), (1e-6, "us"))
    return f"{value / scale:.3g} {unit}"


def mebibytes(value: float | None) -> str:
    """Bytes as MiB: 3145728 is "3 MiB"."""
    return f"{value / MIB:.3g} MiB" if value is not None and is_finite(value) else "unknown memory"


def size(value: float) -> str:
    """Bytes in the unit that shows them best: "1.62 GiB"."""
    unit, bytes_ = next(((u, b) for u, b in (("GiB", 2**30), ("MiB", 2**20)) if value >= 0.1 * b), ("KiB", 2**10))
    return f"{value / bytes_:,.2f} {unit}"


def times(value: float | None) -> str:
    """A ratio: 1.234 is "1.2 ×", 123 "120 ×"."""
    return f"{float(f'{value:.2g}'):,g} ×" if value is not None and is_finite(value) else ""


def listed(words: Sequence[str]) -> str:
    """["a", "b", "c"] is "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def quoted(name: str) -> str:
    """A name in backticks; any in it become apostrophes."""
    return f"`{name.replace('`', chr(39))}`"


def names(found: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    given = list(found)
    shown = [quoted(name) for name in given[:NAMED]]
    return listed([*shown, *([f"{len(given) - NAMED} more"] if len(given) > NAMED else [])])


def targets(found: Iterable[str]) -> str:
    """The targets in their order; "every target" if all."""
    asked = set(found)
    given = [target for target in TARGETS if target in asked]
    return "every target" if len(given) == len(TARGETS) else listed(given)


def capital(sentence: str) -> str:
    """First letter in upper case, others as they are."""
    return sentence[:1].upper() + sentence[1:]


def plural(count: int, thing: str) -> str:
    """plural(1, "case") is "one case", plural(1200, "case") "1,200 cases"."""
    return f"one {thing}" if count == 1 else f"{count:,} {thing}s"


def counted(count: int, thing: str) -> str:
    """counted(1, "row") is "1 row", counted(1200, "row") "1200 rows"."""
    return f"{count} {thing}{'s' * (count != 1)}"
