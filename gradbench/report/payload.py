"""The data of the page: columns instead of records, packed so that no HTML parser sees a word of them."""

import base64
import gzip
import json
import math
from typing import Any

from gradbench.analysis.numbers import is_finite

DIGITS = 6


def packed(data: Any) -> str:
    """JSON, gzipped, in base64: a tenth of the JSON, and none of its characters can end a script."""
    text = json.dumps(_plain(data), allow_nan=False, separators=(",", ":"), default=str)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode()


def columns(records: list[dict[str, Any]]) -> dict[str, Any]:
    """{"n": 2, "columns": {"errors/flow x_T/shown": [0.1, None], ...}} of nested records; the page builds them again.

    A column of texts is {"words": [...], "of": [0, 0, 1]}: every text once. What is None everywhere is left out.
    """
    found: dict[str, list[Any]] = {}
    for index, record in enumerate(records):
        for path, value in _leaves(record):
            if value is not None:
                if path not in found:
                    found[path] = [None] * len(records)
                found[path][index] = value
    return {"n": len(records), "columns": {path: _column(values) for path, values in found.items()}}


def _leaves(record: dict[str, Any], path: str = "") -> Any:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}/")
        else:
            yield f"{path}{key}", value


def _column(values: list[Any]) -> Any:
    if not all(value is None or isinstance(value, str) for value in values):
        return values
    words = list(dict.fromkeys(value for value in values if value is not None))
    places = {word: place for place, word in enumerate(words)}
    return {"words": words, "of": [-1 if value is None else places[value] for value in values]}


def _plain(value: Any) -> Any:
    """`value` with floats of six digits, and with what JSON has no numbers for as text: "inf"."""
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if not isinstance(value, float):
        return value
    if not is_finite(value):
        return str(value)
    return int(value) if value == math.floor(value) and abs(value) < 2**53 else float(f"{value:.{DIGITS}g}")
