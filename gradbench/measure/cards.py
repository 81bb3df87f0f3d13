"""Graphics cards by their memory, and what of it an estimate may use."""

GIB = 2**30
WORKSPACES = 0.05  # of weights and peak together: libraries' workspaces and the allocator's rounding

# bytes that a process can have beside the driver and its own context, by the card's nominal size in GB
CARDS: dict[int, int] = {
    16: int(15.0 * GIB),
    24: int(23.0 * GIB),
    40: int(39.0 * GIB),
    80: int(78.0 * GIB),
    141: int(139.0 * GIB),
}


def room(card: int) -> float:
    """Bytes of weights and peak together that a card holds, workspaces left out."""
    return CARDS[card] / (1 + WORKSPACES)


def card_for(size: float) -> int | None:
    """The smallest card that holds so many bytes of weights and peak together; None where none does."""
    return next(iter(cards_for(size)), None)


def cards_for(size: float) -> list[int]:
    """The cards that hold so many bytes of weights and peak together, the smallest first."""
    return [card for card in CARDS if size <= room(card)]
