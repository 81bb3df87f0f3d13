"""The blocks of the guides run in their order, and what they show is what is printed."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "guide" / "stable_diffusion.md").read_text()
CONSOLE = re.findall(r"```console\n\$ (.*?)\n(.*?)```", GUIDE, re.DOTALL)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def typed(line, **options):
    words = [sys.executable, *(["-m"] if line.startswith("gradbench") else []), *shlex.split(line)]
    words = [word for word in words if word != "python"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, **options).stdout


def assert_alike(printed, shown):
    """The same words, and numbers as near as another processor's rounding leaves them."""
    number = r"\d+\.\d+"
    assert re.sub(number, "#", printed).strip() == re.sub(number, "#", shown).strip()
    found, expected = ([float(text) for text in re.findall(number, part)] for part in (printed, shown))
    assert found == pytest.approx(expected, rel=1e-3)


def test_blocks_of_python_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    for name, value in {**alone, "HF_HUB_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    names = {}
    for source in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        exec(compile(source, "stable_diffusion.md", "exec"), names)
    (shown,) = re.findall(r"It prints `(.*?)`", GUIDE)
    assert_alike(capsys.readouterr().out, shown)
    assert (tmp_path / "lora" / "pytorch_lora_weights.safetensors").is_file()


def test_the_example_prints_what_the_guide_shows():
    line, shown = next(pair for pair in CONSOLE if pair[0].startswith("python"))
    assert_alike(typed(line, env={**os.environ, "OMP_NUM_THREADS": "1"}), shown)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_predict_prints_what_the_guide_shows():
    line, shown = next(pair for pair in CONSOLE if pair[0].startswith("gradbench predict"))
    assert typed(line).startswith(shown)


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
