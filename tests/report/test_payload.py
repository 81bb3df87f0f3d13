"""The packed data are what was given, and cannot be read as markup."""

import base64
import gzip
import json

from gradbench.report.payload import columns, packed


def unpacked(text):
    return json.loads(gzip.decompress(base64.b64decode(text)))


def test_nested_records_become_columns_with_every_text_once():
    records = [{"a": "x", "e": {"k": 1}}, {"a": "y", "e": {}}, {"a": "x", "b": None}]
    assert columns(records) == {
        "n": 3,
        "columns": {"a": {"words": ["x", "y"], "of": [0, 1, 0]}, "e/k": [1, None, None]},
    }


def test_numbers_keep_six_digits_and_those_that_json_lacks_become_words():
    values = [1 / 3, 12345678.0, float("inf"), float("nan"), None, True, 7]
    assert unpacked(packed(values)) == [0.333333, 12345678, "inf", "nan", None, True, 7]


def test_no_character_of_the_data_can_end_a_script():
    assert set(packed({"</script>": "<!--<script>"})) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    )


def test_the_page_of_20000_rows_is_under_five_megabytes(large):
    assert large.stat().st_size < 5_000_000
