"""One colour and marker per estimator for ever, the same in every report and figure; options change dash and fill.

Colours are those of Okabe and Ito, extended by Tol's muted set, each with a lighter twin for dark pages. Those of the
pathwise estimators (`MAIN`) stay at least 15 apart in CIELAB for readers lacking one kind of cone, as simulated by
Machado, Oliveira and Fernandes (2009, IEEE TVCG 15). Colour is never alone: shape and dash show as much.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gradbench.estimators.catalogue import ESTIMATORS as CATALOGUE
from gradbench.estimators.pathwise.adjoints import ORDERS

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
COLOURS = {
    "black": ("#1a1a1a", "#f2f2f2"),
    "grey": ("#737373", "#9f9f9f"),
    "orange": ("#d98c00", "#f0ac2e"),
    "sky": ("#3d9fd8", "#6bc5f8"),
    "green": ("#01a16e", "#29d495"),
    "yellow": ("#a89400", "#f0e442"),
    "blue": ("#006cb3", "#48a0e5"),
    "vermillion": ("#d55e00", "#ff8a3d"),
    "purple": ("#bc5d9f", "#e8afd4"),
    "wine": ("#822258", "#c767a9"),
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
    "rlr": ("green", "star"),
    "evolution-strategies": ("yellow", "pentagon"),
    "finite-differences": ("grey", "x"),
    "leapalign": ("orange", "diamond"),
    "flowbp": ("orange", "hexagon"),
    "srpo": ("teal", "triangle-up"),
    "nft": ("brown", "star"),
    "awm": ("brown", "triangle-down"),
    "ram": ("brown", "cross"),
    "eam": ("brown", "x"),
    "fdfo": ("wine", "hexagon"),
    "vgg-flow": ("teal", "star"),
    "ode-adjoint-matching": ("indigo", "diamond"),
}
MAIN = tuple(ESTIMATORS)[:9]
CHARTS = ("noise", "data", "log-snr", "angle", "time")  # in the order of LENGTHS
RULES = tuple(name for name in ORDERS if name != "2m")  # 2m came later, and the looks of the others stay for ever
FILLS = {"stored": "full", "resolved": "none", "binomial": "left", "inverted": "top"}
LENGTHS = (14, 8, 5, 3, 1)
GAP = 2


@dataclass(frozen=True)
class Style:
    """Colour on light and on dark pages, and marker.

    pattern: lengths of dashes and gaps in turn, empty for a solid line. fill: how much of the marker is filled.
    """

    light: str
    dark: str
    marker: str
    pattern: tuple[int, ...] = ()
    fill: str = "full"


def style_for(estimator: str, options: Mapping[str, Any]) -> Style:
    """The style of an estimator with these options, whatever else is shown.

    Colour and marker are the estimator's. The marker is open if the trajectory is resolved, half filled if it is
    binomial or inverted. The length of the dash shows the chart, its dots the rule, a solid line both defaults; any
    other option widens the gaps and chooses the pattern by a hash.
    """
    colour, marker = look(estimator)
    defaults = CATALOGUE[estimator].defaults if estimator in CATALOGUE else {}
    fill = FILLS.get(str({**defaults, **options}.get("trajectory")), "full")
    other = {k: v for k, v in sorted(options.items()) if k not in ("trajectory", "draws") and v != defaults.get(k)}
    return Style(*COLOURS[colour], marker, _pattern(defaults, other), fill)


def look(estimator: str) -> tuple[str, str]:
    """Names of colour and marker; an unknown estimator gets a free pair by a hash of its name, the same everywhere."""
    if estimator in ESTIMATORS:
        return ESTIMATORS[estimator]
    free = [pair for c in COLOURS for m in MARKERS if (pair := (c, m)) not in ESTIMATORS.values()]
    return free[zlib.crc32(estimator.encode()) % len(free)]


def rank(estimator: str) -> tuple[int, str]:
    """Where an estimator stands in a legend: the table's order, then by name."""
    names = list(ESTIMATORS)
    return (names.index(estimator) if estimator in names else len(names), estimator)


def _pattern(defaults: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[int, ...]:
    """No pattern for the defaults; a dash of the chart's length and as many dots as the rule's place.

    Other options choose length, dots and a wider gap by a hash.
    """
    if not other:
        return ()
    steps = [_place(kind, defaults.get(name), other.get(name)) for name, kind in (("chart", CHARTS), ("rule", RULES))]
    if set(other) <= {"chart", "rule"} and None not in steps:
        (chart, rule), gap = steps, GAP
    else:
        code = zlib.crc32(json.dumps(other, sort_keys=True, default=str).encode())
        code, chart = divmod(code, len(LENGTHS))
        code, rule = divmod(code, len(RULES))
        gap = GAP + 1 + code % 3
    return (LENGTHS[chart or 0], gap, *(1, gap) * (rule or 0))


def _place(kind: tuple[str, ...], default: Any, value: Any) -> int | None:
    """How far a value comes after the default, cyclically; None if it is unknown."""
    if value is None or value == default:
        return 0
    start = kind.index(default) if default in kind else 0
    return (kind.index(value) - start) % len(kind) if value in kind else None
