"""`gradbench report`, on a run and on published rows."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gradbench.bench.load import load_rows
from gradbench.bench.store import Store, write_parquet
from tests.rows import row

PUBLISHED = Path(__file__).parents[2] / "results/published/2026-11-21-ci-cpu"
ROW = row("backprop", 5, time_s=0.5, time_samples=[0.5, 0.6], cell_id="a", started_at="2026-01-01")


def report(*words):
    line = [sys.executable, "-m", "gradbench", "report", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    shutil.copy(PUBLISHED / "rows.parquet", folder)
    return folder


def test_published_rows_have_a_report_beside_them_and_stay_as_they_are(published):
    before = (published / "rows.parquet").read_bytes()
    done = report(published)
    assert done.returncode == 0 and f"report: {published / 'report.html'}" in done.stdout
    assert "Of 595 measurements, 592 succeeded" in (published / "report.html").read_text()
    assert sorted(path.name for path in published.iterdir()) == ["report.html", "rows.parquet"]
    assert (published / "rows.parquet").read_bytes() == before


def test_the_page_goes_where_it_is_told(published, tmp_path):
    out = tmp_path / "elsewhere" / "page.html"
    assert report(published / "rows.parquet", "--out", out).returncode == 0
    assert out.exists() and not (published / "report.html").exists()


def test_a_run_tells_its_own_command(tmp_path):
    store = Store(tmp_path)
    store.append(ROW, "m")
    store.write_plan([], "quick", "gradbench run --suite quick --seeds 0-4")
    assert report(tmp_path).returncode == 0
    assert "<code>gradbench run --suite quick --seeds 0-4</code>" in (tmp_path / "report.html").read_text()


def test_a_folder_without_rows_is_wrong_usage(tmp_path):
    done = report(tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("gradbench: no rows in ") and done.stderr.count("\n") == 1


def test_rows_come_back_from_parquet_as_they_went(tmp_path):
    write_parquet([ROW, ROW | {"cell_id": "b", "status": "oom", "reason": "too large"}], tmp_path / "rows.parquet")
    first, second = load_rows(tmp_path)
    assert {key: first[key] for key in ROW} == ROW
    assert second["reason"] == "too large" and "flow_error_x_T" not in second
