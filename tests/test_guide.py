"""The blocks of the guides run in their order, and what they show is what is printed."""

import json
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import environment
from tests.guide_blocks import assert_alike, blocks
from tests.quick import quick

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = (
    *("tutorial.md", "guide/stable_diffusion.md", "guide/every_step.md", "guide/extending.md", "cite.md"),
    "guide/own_losses.md",
    *("guide/extending_reports.md", "guide/tasks.md"),
)
GUIDE = (DOCS / "guide" / "stable_diffusion.md").read_text()
SLOW = ("gradbench predict",)  # minutes, in tests of their own


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def typed(line, **options):
    words = shlex.split(line.removeprefix("python "))
    command = [sys.executable, *(["-m"] if words[0] == "gradbench" else []), *words]
    env = {**environment(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that is the current one, with the examples in it; what blocks add to catalogues is taken back."""
    from gradbench.estimators.catalogue import ESTIMATORS
    from gradbench.objectives.catalogue import OBJECTIVES
    from gradbench.problems.folders import folders, package_of_cases
    from gradbench.samplers.catalogue import SAMPLERS

    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    for name, value in {**alone, "HF_HUB_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    held = [(catalogue, dict(catalogue)) for catalogue in (ESTIMATORS, OBJECTIVES, SAMPLERS)]
    modules, paths = set(sys.modules), folders()
    yield tmp_path
    for catalogue, entries in held:
        catalogue.clear()
        catalogue.update(entries)
    package_of_cases().__path__[:] = map(str, paths)
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("page", quick(PAGES, 0, 2, 3, 6))
def test_blocks_of_a_page_run_in_their_order(page, folder, capsys):
    names = {"__name__": "__main__"}
    for block in blocks((DOCS / page).read_text()):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
        elif block.language == "python":
            exec(compile(block.text, page, "exec"), names)
            assert_alike(capsys.readouterr().out, block.shown or "")
        elif block.language == "console" and not block.line.startswith(SLOW):
            assert_alike(typed(block.line), block.shown)
    if page == "guide/stable_diffusion.md":
        assert (folder / "lora" / "pytorch_lora_weights.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_predict_prints_what_the_guide_shows():
    block = next(block for block in blocks(GUIDE) if block.line.startswith(SLOW))
    assert typed(block.line, cwd=ROOT).startswith(block.shown)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "row", re.findall(r"\| `(sd15.*?)` \| ([\d,.]+) \| ([\d,.]+) \|", GUIDE), ids=lambda row: row[0]
)
def test_peaks_of_the_table_are_those_that_predict_finds(row):
    case, *peaks = row
    line = (
        f"gradbench predict -c {case} -e checkpoint -e backprop --steps 50 --dtype float16 --target parameters --json"
    )
    assert [f"{found['peak_bytes'] / 2**20:,.1f}" for found in json.loads(typed(line))] == peaks


def test_an_output_that_differs_is_noticed():
    shown = "error 0.5 of … rows\n…\nlast  1.25 line"
    assert_alike("error 0.5 of 17 rows\na\nb\nlast 1.2501 line", shown)
    for other in ("error 0.6 of 17 rows\nlast 1.25 line", "error 0.5 of 17 rows\nlast 1.25 lines"):
        with pytest.raises(AssertionError):
            assert_alike(other, shown)
