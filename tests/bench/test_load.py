"""Rows are read strictly where they are compared."""

import json

import pytest

from gradbench.bench.load import load_rows
from gradbench.bench.schema import SCHEMA
from gradbench.bench.store import write_parquet
from tests.bench.helpers import GOLDEN_ROWS, ROOT

BASELINE = ROOT / "results" / "baselines" / "ci.jsonl"
PUBLISHED = ROOT / "results" / "published" / "2026-11-21-ci-cpu"


@pytest.fixture
def lines():
    return BASELINE.read_text().splitlines(keepends=True)[:3]


def test_a_file_of_lines_a_folder_and_a_parquet_file_hold_the_same_rows(lines, tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    (tmp_path / "rows-m-1.jsonl").write_text("".join(lines))
    rows = load_rows(tmp_path / "rows.jsonl")
    write_parquet(rows, tmp_path / "rows.parquet")
    assert len(rows) == 3 and load_rows(tmp_path) == rows
    assert [{k: v for k, v in row.items() if k in rows[0]} for row in load_rows(tmp_path / "rows.parquet")] == rows


def test_published_rows_of_an_older_schema_are_read_in_todays():
    rows = load_rows(PUBLISHED)
    assert len(rows) == 595 and {row["schema"] for row in rows} == {SCHEMA} and rows[0]["flow_tol"] is not None
    assert isinstance(rows[0]["case_params"], dict) and isinstance(rows[0]["targets"], list)


def test_historic_lines_are_read():
    assert load_rows(GOLDEN_ROWS / "schema-1.jsonl")


def test_the_last_attempt_of_a_cell_counts(lines, tmp_path):
    row = json.loads(lines[0])
    again = [{**row, "attempt": attempt, "vjps": 100 + attempt} for attempt in (2, 1)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in again))
    assert [row["vjps"] for row in load_rows(tmp_path / "rows.jsonl")] == [102]


def test_a_torn_last_line_is_passed_over_in_a_folder_and_an_error_in_a_file(lines, tmp_path):
    torn = "".join(lines)[:-20]
    (tmp_path / "rows-m-1.jsonl").write_text(torn)
    assert len(load_rows(tmp_path)) == 2
    with pytest.raises(ValueError, match="line 3, is not a gradbench row"):
        load_rows(tmp_path / "rows-m-1.jsonl")


BROKEN = [
    ("rows.jsonl", b"\x00\x01\x02", "line 1, is not a gradbench row"),
    ("rows.jsonl", b'{"a": 1}\n', "line 1, is not a gradbench row"),
    ("rows.jsonl", b"[1, 2]\n", "line 1, is not a gradbench row"),
    ("rows.jsonl", b'{"cell_id": "a", "replicate": 0, "status": "fine"}\n', "unknown status 'fine'"),
    ("rows.jsonl", b'{"cell_id": "a", "replicate": 0, "status": "ok", "schema": 99}\n', "newer than"),
    ("rows.parquet", b"PAR1 but no more", "is not a parquet file"),
    ("picture.png", b"\x89PNG\r\n\x1a\n", "line 1, is not a gradbench row"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_corrupt_or_foreign_file_is_an_error(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_rows(tmp_path / name)


def test_a_broken_line_within_a_folder_is_an_error(lines, tmp_path):
    (tmp_path / "rows-m-1.jsonl").write_text(lines[0] + "garbage\n" + lines[1])
    with pytest.raises(ValueError, match="line 2, is not a gradbench row"):
        load_rows(tmp_path)


def test_a_foreign_parquet_file_is_an_error(tmp_path):
    import pandas as pd

    pd.DataFrame({"a": [1], "b": ["x"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="row 1, is not a gradbench row"):
        load_rows(tmp_path / "other.parquet")


def test_parquet_parameters_that_are_no_json_are_an_error(tmp_path, lines):
    import pandas as pd

    row = json.loads(lines[0])
    pd.DataFrame([{**row, "case_params": "{", "sampler_params": "{}", "estimator_params": "{}"}]).to_parquet(
        tmp_path / "rows.parquet"
    )
    with pytest.raises(ValueError, match="its parameters are not JSON"):
        load_rows(tmp_path / "rows.parquet")


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_a_path_without_rows_is_an_error(tmp_path, name):
    with pytest.raises(ValueError, match="no such file or folder|no rows in"):
        load_rows(tmp_path / name)


def test_a_run_that_has_only_its_plan_has_no_rows(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    assert load_rows(tmp_path) == []
