"""Why the survivors live: (file, line before, line after) -> the reason."""

Change = tuple[str, str, str]

EQUIVALENT: dict[Change, str] = {}
OTHER: dict[Change, str] = {}
