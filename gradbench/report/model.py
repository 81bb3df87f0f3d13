"""The figures that the page and print both draw, as numbers; templates/script/figures.js and static/ only draw them."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradbench.analysis.cells import Group
from gradbench.analysis.costs import Parts, cost, parts
from gradbench.analysis.noise import Split, split
from gradbench.analysis.profile import pareto_front
from gradbench.analysis.rows import Spread
from gradbench.report.points import Errors, Point

LEVELS = ("state_bytes", "tape_bytes")


@dataclass(frozen=True)
class Priced:
    """A point of error against work; front: whether no other is better in one and no worse in the other."""

    point: Point
    cost: Spread
    front: bool


def work_precision(errors: Errors, kind: str) -> list[Priced]:
    """Errors against one cost, of `costs.COSTS`; points whose cost was not measured are left out."""
    priced = [(point, paid) for point in errors.points if (paid := positive_cost(point.cell, kind))]
    front = set(pareto_front([(point.reading.shown, paid.mid) for point, paid in priced]))
    return [Priced(point, paid, place in front) for place, (point, paid) in enumerate(priced)]


def positive_cost(cell: Group, kind: str) -> Spread | None:
    """A cost as a logarithmic axis shows it; None if it was not measured or is zero."""
    found = cost(cell, kind)
    return found if found and found.mid > 0 else None


@dataclass(frozen=True)
class Peak:
    """A point of memory against steps: the peak over weights and inputs in bytes, and its parts."""

    cell: Group
    steps: int
    size: Spread
    parts: Parts


def memory_steps(found: Sequence[Group]) -> list[Peak]:
    """Peaks of memory against steps, for cells that have both."""
    peaks = ((cell, positive_cost(cell, "memory"), parts(cell)) for cell in found)
    return [Peak(cell, cell.steps, size, whole) for cell, size, whole in peaks if cell.steps and size and whole]


def levels(found: Sequence[Peak]) -> dict[str, float]:
    """The bytes of one state and of one step's tape that a figure draws as lines: the largest of any."""
    sizes = {column: [size for peak in found if (size := peak.cell.median(column))] for column in LEVELS}
    return {column: max(each) for column, each in sizes.items() if each}


def bias_variance(found: Sequence[Group], target: str) -> list[tuple[Group, Split]]:
    """Bias and noise of Monte Carlo cells."""
    return [(cell, known) for cell in found if (known := split(cell, target))]
