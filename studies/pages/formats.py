"""How numbers are written on a page."""

import math

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


def gb(value: float) -> str:
    """Bytes in GB of 10^9, as cards are sold, one digit."""
    return f"{value / 1e9:.1f}"


def ms(value: float) -> str:
    """Seconds in milliseconds, two or three digits."""
    return f"{value * 1e3:.1f}" if value < 0.1 else f"{value * 1e3:,.0f}"


def percent(value: float) -> str:
    """A share, signed unless it is none."""
    return f"{value:+.0%}" if round(value, 2) else "0%"


def exactly(value: float) -> str:
    """A relative error with its power of ten."""
    return f"{value:.0e}".replace("e-0", "e-") if value else "0"


def work(value: float) -> str:
    """Network evaluations, two digits; infinitely many where no number of them is enough."""
    return "∞" if math.isinf(value) else f"{float(f'{value:.2g}'):,.0f}"


FILTERS = {"error": error, "mib": mib, "gb": gb, "ms": ms, "percent": percent, "exactly": exactly, "work": work}
