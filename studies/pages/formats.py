"""How numbers are written on a page."""

import math
from collections.abc import Callable

from gradbench.measure.cards import cards_for
from studies.pages.published import Spread

FLOOR = 1e-11


def error(value: float) -> str:
    """A relative error: two digits, in words of powers below a thousandth, `0` for rounding in float64."""
    if value < FLOOR:
        return "0"
    return f"{value:.1e}".replace("e-0", "e-") if value < 1e-3 else f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def mib(value: float) -> str:
    """Bytes in MiB, three digits."""
    size = value / 2**20
    return (
        f"{size:.3f}"
        if size < 0.1
        else f"{size:.2f}"
        if size < 1
        else f"{size:,.1f}"
        if size < 1000
        else f"{size:,.0f}"
    )


def more(value: float) -> str:
    """A difference of bytes in MiB, signed."""
    return f"{'-' if value < 0 else '+'}{mib(abs(value))}"


def gb(value: float) -> str:
    """Bytes in GB of 10^9, as cards are sold, one digit."""
    return f"{value / 1e9:.1f}"


def ms(value: float) -> str:
    """Seconds in milliseconds, two or three digits."""
    return f"{value * 1e3:.1f}" if value < 0.1 else f"{value * 1e3:,.0f}"


def percent(value: float) -> str:
    """A share, signed unless zero."""
    return f"{value:+.0%}" if round(value, 2) else "0%"


def exactly(found: Spread) -> str:
    """Relative errors from rounding alone, with their powers of ten: the median and the range."""
    return f"{_power(found.median)} ({_power(found.least)} to {_power(found.most)})"


def _power(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if value else "0"


def work(value: float) -> str:
    """Network evaluations, two digits; infinite if no number of them is enough."""
    return "∞" if math.isinf(value) else f"{float(f'{value:.2g}'):,.0f}"


def spread(found: Spread) -> str:
    """Relative errors over seeds: the median with the least and the largest in brackets; rounding alone is `0`."""
    if found.most < FLOOR:
        return "0"
    return f"{error(found.median)} ({error(found.least)} to {error(found.most)})"


def plain(found: Spread) -> str:
    """The same for cosines and ratios of lengths: two digits after the point, below a tenth two digits."""
    return f"{ratio(found.median)} ({ratio(found.least)} to {ratio(found.most)})"


def ratio(value: float) -> str:
    """A ratio of lengths, two digits."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def seconds(value: float) -> str:
    """Seconds to three digits."""
    return f"{value:.3g}"


def fits(size: float) -> str:
    """The cards that hold this many bytes, in GB."""
    return ", ".join(map(str, cards_for(size))) or "none"


def maybe(value: float | None, name: str) -> str:
    """Formatted by another filter, or nothing if there is no number."""
    return "" if value is None else FILTERS[name](value)


FILTERS: dict[str, Callable[..., str]] = {
    "seconds": seconds,
    "fits": fits,
    "maybe": maybe,
    "ratio": ratio,
    "spread": spread,
    "plain": plain,
    "error": error,
    "mib": mib,
    "more": more,
    "gb": gb,
    "ms": ms,
    "percent": percent,
    "exactly": exactly,
    "work": work,
}
