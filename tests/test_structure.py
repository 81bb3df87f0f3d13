"""The rooms: what may import what, how long a file may be, and which import torch."""

import graphlib
import importlib.util
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import gradbench

DOCS = Path(__file__).parents[1] / "docs" / "made"
spec = importlib.util.spec_from_file_location("rooms", DOCS / "rooms.py")
rooms = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rooms)

PACKAGE, FLOOR, MODULES, GRAPH = rooms.PACKAGE, rooms.FLOOR, rooms.modules(), rooms.graph()
FILES = list(MODULES.values())
TORCH_FREE = ("analysis", "compare", "report")


def room(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_its_own_room_and_from_floors_below(name):
    own = rooms.room_of(name)
    others = [found for found in GRAPH[name] if rooms.room_of(found) != own]
    assert not [found for found in others if FLOOR[rooms.room_of(found)] >= FLOOR[own]]


def test_no_module_imports_itself_by_way_of_others():
    graphlib.TopologicalSorter(GRAPH).prepare()


def test_the_floors_are_those_of_the_contributing_guide():
    told = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    lines = [", ".join(f"`{room}`" for room in floor) for floor in rooms.FLOORS if not floor[0].startswith("__")]
    assert all(f". {line}\n" in told for line in lines)


def test_the_median_file_is_short_and_none_is_long():
    lengths = [len(file.read_text().splitlines()) for file in FILES if file.name != "__init__.py"]
    assert max(lengths) <= 400 and 50 <= statistics.median(lengths) <= 160


@pytest.mark.parametrize("file", [f for f in FILES if room(f) in TORCH_FREE], ids=lambda f: f.name)
def test_rows_are_read_without_torch(file):
    assert not any(name.split(".")[0] == "torch" for name in rooms.imports(file))


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


@pytest.mark.parametrize(
    "line",
    ["import gradbench; gradbench.Problem", "import gradbench; gradbench.case", "import gradbench.testing.strategies"],
)
def test_a_problem_from_a_public_place_knows_who_answers(line):
    code = f"{line}\nfrom gradbench.problems.problem import Problem\nassert Problem.answers is not None"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_problem_that_nobody_answers_says_what_to_import():
    code = (
        "from gradbench.problems.case import make_case\n"
        "try:\n    make_case('gaussian', {}).problem(steps=2).flow_gradient()\n"
        "except RuntimeError as error:\n    assert 'gradbench.references' in str(error)\nelse:\n    assert False"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_public_names_resolve():
    assert all(getattr(gradbench, name) is not None for name in gradbench.__all__)
