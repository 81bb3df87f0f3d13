"""The rooms: what may import what, how long a file may be, and what may import torch."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import gradbench

PACKAGE = Path(gradbench.__file__).parent
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "_cases" not in p.parts)
FLOORS = {
    **dict.fromkeys(("checks", "selector", "plugins", "entry", "allowed", "command"), 0),
    **{"diffusion": 1, "samplers": 2, "estimators": 3, "models": 3, "objectives": 3, "measure": 4, "bench": 5},
    **{"analysis": 6, "report": 7, "testing": 8, "api": 8, "cli": 8, "__main__": 9, "__init__": 9},
}
TORCH_FREE = ("analysis", "report")


def room(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file, top_level=False):
    """Modules of gradbench that a file imports, those only for type checking left out."""
    tree = ast.parse(file.read_text())
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    for node in tree.body if top_level else ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_from_floors_below(file):
    for name in imports(file, top_level=True):
        parts = name.split(".")
        if parts[0] == "gradbench" and len(parts) > 1 and parts[1] in FLOORS and parts[1] != room(file):
            assert FLOORS[parts[1]] <= FLOORS[room(file)], f"{file} imports {name}"


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
