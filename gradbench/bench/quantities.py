"""Numbers with units as typed: durations, sizes and ranges of seeds."""

import re

from gradbench.checks import UsageError

MOST_SEEDS = 1_000_000
LEAST_BYTES = 2**20  # a smaller number without a unit means another unit


def parse_seconds(text: str, option: str = "--timeout") -> float:
    """`90`, `90s`, `10m` or `1h`, in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None or not float(match[1]):
        raise UsageError(f"{option} must be a time like 90s, 10m or 1h, got {text!r}")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def parse_bytes(text: str, option: str = "--memory") -> int:
    """`4GiB`, `500MB` or `4000000`, in bytes; a number below 1 MiB needs a unit."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]i?)?B?", text.strip())
    if match is None or not float(match[1]):
        raise UsageError(f"{option} must be a size like 4GiB or 500MB, got {text!r}")
    unit = match[2] or ""
    if text.strip().isdecimal() and int(text) < LEAST_BYTES:
        raise UsageError(f"{option} {text} is {text} bytes, less than 1 MiB: give a unit, as in {text}GB")
    return int(float(match[1]) * (1024 if unit.endswith("i") else 1000) ** " kMGT".index(unit[:1] or " "))


def parse_seeds(text: str, option: str = "--seeds") -> list[int]:
    """`0-4` or `0,3,5-7`."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if match is None:
            raise UsageError(f"{option} must be a range like 0-4 or 0,3, got {text!r}")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low or high - low >= MOST_SEEDS:
            raise UsageError(f"{option} must be a range like 0-4 of at most {MOST_SEEDS:,} seeds, got {text!r}")
        seeds += range(low, high + 1)
    return seeds
