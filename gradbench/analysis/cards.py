"""Graphics cards by their memory, and what of it an estimate may use."""

GIB = 2**30
WORKSPACES = 0.05  # of weights and peak together: libraries' workspaces and the allocator's rounding

# bytes that a process can have beside the driver and its own context, by the card's nominal size
CARDS: dict[str, int] = {
    "16 GB": int(15.0 * GIB),
    "24 GB": int(23.0 * GIB),
    "40 GB": int(39.0 * GIB),
    "80 GB": int(78.0 * GIB),
    "141 GB": int(139.0 * GIB),
}


def needed(weights: int, peak: int) -> int:
    """Bytes that a card must have: weights and peak, and a share of both for workspaces."""
    return round((weights + peak) * (1 + WORKSPACES))


def cards_for(weights: int, peak: int) -> dict[str, bool]:
    """Whether each card holds that."""
    return {name: needed(weights, peak) <= usable for name, usable in CARDS.items()}
