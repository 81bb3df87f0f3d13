"""Graphics cards by their memory, and the share of it available to an estimate."""

GIB = 2**30
WORKSPACES = 0.05  # share of weights and peak for libraries' workspaces and the allocator's rounding

# bytes available to a process besides the driver and its own context, by the card's nominal size in GB
CARDS: dict[int, int] = {
    16: int(15.0 * GIB),
    24: int(23.0 * GIB),
    40: int(39.0 * GIB),
    80: int(78.0 * GIB),
    141: int(139.0 * GIB),
}


def room(card: int) -> float:
    """Bytes of weights and peak together that a card holds, without workspaces."""
    return CARDS[card] / (1 + WORKSPACES)


def card_for(size: float) -> int | None:
    """The smallest card that holds this many bytes of weights and peak together; None if none does."""
    return next(iter(cards_for(size)), None)


def cards_for(size: float) -> list[int]:
    """The cards that hold this many bytes of weights and peak together, the smallest first."""
    return [card for card in CARDS if size <= room(card)]
