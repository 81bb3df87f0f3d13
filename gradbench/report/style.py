"""One colour and one marker an estimator, the same in every report.

Colours are those of Okabe and Ito, told apart by colour-blind readers, extended by Tol's muted set; yellow is darkened
to be read on white, and each has a lighter twin for dark pages. Colour is never alone: shape and dash tell as much.
"""

import zlib
from dataclasses import dataclass

MARKERS = {
    "circle": "M6 0A6 6 0 1 1-6 0A6 6 0 1 1 6 0Z",
    "square": "M-5-5H5V5H-5Z",
    "diamond": "M0-7L7 0L0 7L-7 0Z",
    "triangle-up": "M0-6L6 5H-6Z",
    "triangle-down": "M0 6L6-5H-6Z",
    "cross": "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z",
    "x": "M-6-3L-3-6L0-3L3-6L6-3L3 0L6 3L3 6L0 3L-3 6L-6 3L-3 0Z",
    "pentagon": "M0-6.5L6.2-2L3.8 5.3H-3.8L-6.2-2Z",
    "hexagon": "M-3.2-5.6H3.2L6.5 0L3.2 5.6H-3.2L-6.5 0Z",
    "star": "M0-7L1.7-2.3L6.7-2.2L2.7.9L4.1 5.7L0 2.8L-4.1 5.7L-2.7.9L-6.7-2.2L-1.7-2.3Z",
    "triangle-left": "M-6 0L5-6V6Z",
    "triangle-right": "M6 0L-5-6V6Z",
}
DASHES = {"solid": "none", "dash": "6 3", "dot": "2 2", "dashdot": "6 2 2 2", "longdash": "10 3"}
COLOURS = {
    "black": ("#1a1a1a", "#f2f2f2"),
    "grey": ("#7d7d7d", "#a8a8a8"),
    "orange": ("#d98c00", "#f0ac2e"),
    "sky": ("#3d9fd8", "#6cc1f2"),
    "green": ("#009e73", "#2bc79a"),
    "yellow": ("#a89400", "#f0e442"),
    "blue": ("#0072b2", "#4ba6e3"),
    "vermillion": ("#d55e00", "#ff8a3d"),
    "purple": ("#c0609a", "#e59ac4"),
    "wine": ("#882255", "#d4709f"),
    "indigo": ("#332288", "#9a8bf0"),
    "teal": ("#2f9488", "#5fd0c2"),
    "brown": ("#8c5a2b", "#c99763"),
}
ESTIMATORS = {
    "backprop": ("black", "circle"),
    "checkpoint": ("grey", "square"),
    "revolve": ("brown", "diamond"),
    "reversible": ("green", "triangle-up"),
    "torchdiffeq-adjoint": ("purple", "triangle-down"),
    "torchsde-adjoint": ("wine", "pentagon"),
    "adjoint-dpm": ("vermillion", "square"),
    "adjoint-deis": ("blue", "diamond"),
    "continuous-adjoint": ("sky", "hexagon"),
    "draft": ("orange", "circle"),
    "draft-lv": ("orange", "triangle-right"),
    "alignprop": ("yellow", "diamond"),
    "refl": ("teal", "cross"),
    "drtune": ("indigo", "x"),
    "shortcut": ("yellow", "triangle-left"),
    "reinforce": ("purple", "star"),
    "ddpo": ("wine", "star"),
    "spsa": ("teal", "pentagon"),
    "forward-gradient": ("brown", "hexagon"),
    "adjoint-matching": ("indigo", "star"),
}


@dataclass(frozen=True)
class Style:
    """Colour on light and on dark pages, marker and dash."""

    light: str
    dark: str
    marker: str
    dash: str


def style_of(estimator: str, variant: int = 0) -> Style:
    """The style of an estimator; its variants (other options) keep the colour and take the next markers and dashes.

    An estimator that the table does not know gets a place by a hash of its name, which is the same on every machine.
    """
    place = zlib.crc32(estimator.encode())
    colours, markers, dashes = list(COLOURS), list(MARKERS), list(DASHES)
    guess = (colours[place % len(colours)], markers[place // len(colours) % len(markers)])
    colour, marker = ESTIMATORS.get(estimator, guess)
    shifted = markers[(markers.index(marker) + variant) % len(markers)]
    return Style(*COLOURS[colour], shifted, dashes[variant % len(dashes)])


def rank(estimator: str) -> tuple[int, str]:
    """Where an estimator stands in a legend: the table's order, then by name."""
    names = list(ESTIMATORS)
    return (names.index(estimator) if estimator in names else len(names), estimator)
