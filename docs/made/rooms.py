"""The rooms of the package: their floors, what its modules import, and the drawing of both."""

import ast
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import gradbench

PACKAGE = Path(gradbench.__file__).parent
# from the ground up; a module imports from its own room and from the floors below
FLOORS: tuple[tuple[str, ...], ...] = (
    ("checks", "data", "exits"),
    ("plugins", "selector", "traits"),
    ("allowed", "command"),
    ("entry",),
    ("diffusion",),
    ("samplers", "objectives"),
    ("models",),
    ("problems",),
    ("estimators",),
    ("references",),
    ("measure", "api"),
    ("tasks",),
    ("bench",),
    ("analysis",),
    ("compare", "report", "testing"),
    ("commands",),
    ("cli",),
    ("__main__", "__init__"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    """The room that a module is in: the folder or file below the package."""
    return module.split(".")[1] if "." in module else "__init__"


def modules() -> dict[str, Path]:
    """Every module of the package and its file, without the cases that ship with it."""
    files = sorted(file for file in PACKAGE.rglob("*.py") if "_cases" not in file.parts)
    parts = {file: ("gradbench", *file.relative_to(PACKAGE).with_suffix("").parts) for file in files}
    return {".".join(part).removesuffix(".__init__"): file for file, part in parts.items()}


def imports(file: Path) -> Iterator[str]:
    """Names that a file imports anywhere, at its top or in a function, but not for type checkers alone."""
    tree = ast.parse(file.read_text())
    for_types = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def graph() -> dict[str, set[str]]:
    """The modules that each module imports."""
    known = modules()
    own = {name: {found for found in imports(file) if found in known} for name, file in known.items()}
    return {name: found - {"gradbench", name} for name, found in own.items()}


def arrows(found: Mapping[str, set[str]]) -> dict[tuple[str, str], int]:
    """How many imports lead from one room into another."""
    counted: dict[tuple[str, str], int] = {}
    for name, others in found.items():
        for other in others:
            pair = room_of(name), room_of(other)
            if pair[0] != pair[1]:
                counted[pair] = counted.get(pair, 0) + 1
    return counted


def drawing() -> str:
    """The rooms as SVG, the highest floor on top, with a line per pair of rooms, thicker for more imports."""
    shown = [rooms for rooms in FLOORS if rooms != ("__main__", "__init__")]
    width, row, box = 760, 54, 30
    places: dict[str, tuple[float, float]] = {}
    for number, rooms in enumerate(reversed(shown)):
        for place, room in enumerate(rooms):
            places[room] = (width * (place + 1) / (len(rooms) + 1), 10 + number * row)
    lines, boxes = [], []
    for (upper, lower), count in sorted(arrows(graph()).items()):
        if upper in places and lower in places:
            (x, y), (u, v) = places[upper], places[lower]
            bend = x + (60 if u >= x else -60) * (1 + abs(v - y) / (3 * row))
            lines.append(
                f'<path d="M{x:.0f} {y + box} Q{bend:.0f} {(y + v) / 2:.0f} {u:.0f} {v:.0f}" '
                f'stroke-width="{min(0.4 + count / 25, 3):.1f}"><title>{upper} imports {lower}: {count}</title></path>'
            )
    for room, (x, y) in places.items():
        boxes.append(
            f'<rect x="{x - 56:.0f}" y="{y}" width="112" height="{box}" rx="5"/>'
            f'<text x="{x:.0f}" y="{y + 20}">{escape(room)}</text>'
        )
    height = len(shown) * row
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="rooms of the package, and what they import" '
        'style="max-width:760px"><g fill="none" stroke="#7a8ca5" stroke-opacity="0.55">' + "".join(lines) + "</g>"
        '<g fill="#eef2f7" stroke="#4a6078">' + "".join(box for box in boxes) + "</g>"
        "<style>svg text{fill:#1f2d3d;stroke:none;font:13px sans-serif;text-anchor:middle}</style></svg>"
    )
