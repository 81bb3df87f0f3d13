"""Rows that come back from a folder or from rows.parquet."""

from pathlib import Path

import pytest

from gradbench.bench.load import load_rows
from gradbench.bench.schema import SCHEMA
from gradbench.bench.store import Store, write_parquet

ROOT = Path(__file__).parents[2]
ROW = {
    "schema": SCHEMA, "cell_id": "a", "replicate": 0, "attempt": 1, "status": "ok", "started_at": "2026-01-01",
    "steps": 20,
    "case": "gaussian", "case_params": {"dim": 6, "schedule": "vp-linear"}, "sampler_params": {}, "targets": ["x_T"],
    "estimator_params": {"order": 1, "steps": None}, "time_s": 0.5, "time_samples": [0.4, 0.5], "peak_bytes": 2**40,
    "nfe_forward": 20, "flow_error_x_T": 1e-3, "git_dirty": False,
}  # fmt: skip


def test_parquet_gives_back_what_was_written(tmp_path):
    other = ROW | {"cell_id": "b", "status": "skip", "reason": "none", "time_samples": None, "peak_bytes": None}
    write_parquet([ROW, other], tmp_path / "rows.parquet")
    assert load_rows(tmp_path / "rows.parquet") == [ROW, {k: v for k, v in other.items() if v is not None}]


def test_counts_and_bytes_come_back_as_whole_numbers(tmp_path):
    write_parquet([ROW, ROW | {"cell_id": "b", "peak_bytes": None}], tmp_path / "rows.parquet")
    row = load_rows(tmp_path / "rows.parquet")[0]
    assert [type(row[name]) for name in ("peak_bytes", "nfe_forward", "steps")] == [int, int, int]


def test_published_rows_of_an_older_schema_load_and_migrate():
    rows = load_rows(ROOT / "results" / "published" / "2026-11-21-ci-cpu")
    assert len(rows) == 595 and {row["schema"] for row in rows} == {SCHEMA}
    assert all(isinstance(row["case_params"], dict) and "flow_tol" in row for row in rows if "flow_error_x_T" in row)


def test_a_folder_of_a_run_gives_the_rows_that_count(tmp_path):
    store = Store(tmp_path)
    store.append(ROW | {"status": "error"}, "m")
    store.append(ROW | {"attempt": 2}, "m")
    assert [row["status"] for row in load_rows(tmp_path)] == ["ok"]


def test_a_place_without_rows_is_refused(tmp_path):
    (tmp_path / "rows.parquet").write_text("no parquet")
    with pytest.raises(ValueError, match="is not a parquet file"):
        load_rows(tmp_path)
    with pytest.raises(ValueError, match="no such file"):
        load_rows(tmp_path / "nothing")


def test_a_parquet_of_something_else_is_refused(tmp_path):
    import pandas as pd

    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="is not a gradbench row"):
        load_rows(tmp_path / "other.parquet")
