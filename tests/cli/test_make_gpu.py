"""`make gpu` without a card: the whole run on a CPU, and one line if there is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make_gpu(**settings):
    environment = {**os.environ, "PYTHON": sys.executable, **settings}
    return subprocess.run(["make", "gpu"], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_without_a_card_it_is_one_line(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("make", "bash", "dirname", "sh", "env"):
        (tools / name).symlink_to(
            next(p for d in os.environ["PATH"].split(os.pathsep) if (p := Path(d, name)).exists())
        )
    done = make_gpu(PATH=str(tools))
    assert done.returncode == 2
    assert "make gpu: nvidia-smi finds no NVIDIA card; DEVICE=cpu tries the way without one" in done.stderr


def test_one_cell_goes_the_whole_way_on_a_cpu(tmp_path):
    out = tmp_path / "rows"
    done = make_gpu(DEVICE="cpu", SELECT="-c sd-tiny -e checkpoint --steps 2", OUT=str(out))
    assert done.returncode == 0, done.stderr
    assert "GPU tests skipped" in done.stdout and "1 planned, 1 done, 0 failed, 0 missing" in done.stdout
    assert f"rows: {out}/rows.parquet; report: {out}/report.html; figures: {out}/figures" in done.stdout
    assert (out / "figures" / "coverage.svg").exists() and (out / "environment.json").exists()


@pytest.mark.slow
def test_the_suite_goes_the_whole_way_on_a_cpu(tmp_path):
    out = tmp_path / "rows"
    done = make_gpu(DEVICE="cpu", OUT=str(out))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for file in out.glob("rows-*.jsonl") for line in file.read_text().splitlines()]
    assert {row["status"] for row in rows} == {"ok", "skip"}
    assert all(row["wall_s"] > row["passes_s"] for row in rows if row["status"] == "ok")
    assert (out / "figures" / "overhead.svg").exists()


@pytest.mark.slow
def test_a_second_call_goes_on_where_the_first_was_stopped(tmp_path):
    out, select = tmp_path / "rows", "-c gaussian -e checkpoint -e backprop --steps 2"
    first = make_gpu(DEVICE="cpu", BUDGET="0.000001s", SELECT=select, OUT=str(out))
    assert "2 of 2 cells are left" in first.stderr
    second = make_gpu(DEVICE="cpu", BUDGET="5m", SELECT=select, OUT=str(out))
    assert second.returncode == 0, second.stderr
    assert "2 done, 0 failed, 0 missing" in second.stdout
