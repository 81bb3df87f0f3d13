"""A row is read by the names of its columns."""

import pytest

from gradbench.bench.row import Row

ROW = Row.of({"cell_id": "a", "status": "ok", "time_s": 2.5, "steps": 20, "peak_bytes": None})


def test_an_unknown_value_is_none():
    assert ROW.get("peak_bytes") is None and ROW.number("peak_bytes") is None


@pytest.mark.parametrize("reader", [ROW.get, ROW.text, ROW.number, ROW.whole])
def test_a_reader_refuses_a_name_that_is_no_column(reader):
    with pytest.raises(KeyError, match="no column 'time'"):
        reader("time")


def test_a_reader_of_another_type_finds_nothing():
    assert ROW.text("time_s") is None and ROW.number("status") is None
