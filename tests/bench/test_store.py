import json

import pytest

from gradbench.bench.columns import COLUMNS
from gradbench.bench.plan import make_plan
from gradbench.bench.row import Row
from gradbench.bench.runner import pending
from gradbench.bench.store import Store, read_rows, write_parquet
from gradbench.bench.suite import Block


def row(cell_id="a", replicate=0, status="ok", started_at="2026-01-01", **more):
    return Row(cell_id=cell_id, replicate=replicate, status=status, started_at=started_at, **more)


def test_a_row_is_one_line_with_every_column(tmp_path):
    Store(tmp_path).append(row(time_s=0.5), "m")
    (line,) = next(tmp_path.glob("rows-m-*.jsonl")).read_text().splitlines()
    assert tuple(json.loads(line)) == COLUMNS


def test_a_torn_last_line_is_passed_over(tmp_path):
    store = Store(tmp_path)
    store.append(row(), "m")
    shard = next(tmp_path.glob("rows-*.jsonl"))
    shard.write_bytes(shard.read_bytes() + b'{"cell_id": "b", "repl')
    assert [r["cell_id"] for r in read_rows(tmp_path)] == ["a"]


def test_the_latest_row_of_a_cell_counts(tmp_path):
    store = Store(tmp_path)
    store.append(row(status="error", started_at="2026-01-02"), "m")
    store.append(row(status="ok", started_at="2026-01-03"), "m")
    assert [r["status"] for r in store.rows()] == ["ok"]


def test_parquet_holds_every_column_also_where_all_is_empty(tmp_path):
    import pandas as pd

    write_parquet([row(case_params={"dim": 3}, nfe_forward=4, flow_error_x_T=float("inf"))], tmp_path / "rows.parquet")
    frame = pd.read_parquet(tmp_path / "rows.parquet")
    assert tuple(frame.columns) == COLUMNS
    assert frame["nfe_forward"][0] == 4 and json.loads(frame["case_params"][0]) == {"dim": 3}


def test_an_unwritable_folder_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="cannot be written to"):
        Store(file / "sub")


def test_what_has_a_row_is_not_pending():
    planned = make_plan([Block(["gaussian"], ["ddim"], ["backprop", "checkpoint"])], 1)
    rows = [row(planned[0].cell["cell_id"], status="error")]
    assert [len(pending(planned, rows, rerun)) for rerun in ("missing", "failed", "all")] == [1, 2, 2]
