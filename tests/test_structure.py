"""The rooms: what may import what, how long a file may be, and what may import torch."""

import ast
import graphlib
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import gradbench

PACKAGE = Path(gradbench.__file__).parent
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "_cases" not in p.parts)
FLOORS = (
    ("checks", "selector"),
    ("plugins", "allowed", "command"),
    ("entry",),
    ("diffusion",),
    ("samplers", "objectives"),
    ("models",),
    ("problems",),
    ("estimators",),
    ("references",),
    ("measure", "api"),
    ("bench",),
    ("analysis",),
    ("compare", "report", "testing"),
    ("commands",),
    ("cli",),
    ("__main__", "__init__"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
TORCH_FREE = ("analysis", "report")


def room(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file):
    """Names that a file imports from anywhere in it, whether at its top or in a function; those for types left out."""
    tree = ast.parse(file.read_text())
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def module_of(file):
    parts = ("gradbench", *file.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in FILES}
GRAPH = {
    name: {found for found in imports(file) if found in MODULES and found not in ("gradbench", name)}
    for name, file in MODULES.items()
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_its_own_floor_and_those_below(name):
    own = room(MODULES[name])
    others = {found: room(MODULES[found]) for found in GRAPH[name]}
    upward = [found for found, other in others.items() if other != own and FLOOR[other] >= FLOOR[own]]
    assert not upward


def test_no_module_imports_itself_by_way_of_others():
    graphlib.TopologicalSorter(GRAPH).prepare()


def test_the_median_file_is_short_and_none_is_long():
    lengths = [len(file.read_text().splitlines()) for file in FILES if file.name != "__init__.py"]
    assert max(lengths) <= 400 and 50 <= statistics.median(lengths) <= 160


@pytest.mark.parametrize("file", [f for f in FILES if room(f) in TORCH_FREE], ids=lambda f: f.name)
def test_rows_are_read_without_torch(file):
    assert not any(name.split(".")[0] == "torch" for name in imports(file))


BASELINE = PACKAGE.parent / "results" / "baselines" / "ci.jsonl"
TORCH_FREE_LINES = (
    *("list", "list cases", "list samplers", "list suites", "run --suite full --dry-run"),
    f"compare {BASELINE} {BASELINE}",
)


@pytest.mark.parametrize("line", TORCH_FREE_LINES, ids=lambda line: line.partition(" /")[0])
def test_listing_planning_and_comparing_import_no_torch(line):
    code = (
        f"import sys; sys.argv = ['gradbench', *{line.split()!r}]\n"
        "from gradbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_public_names_resolve():
    assert all(getattr(gradbench, name) is not None for name in gradbench.__all__)
