"""The data of a page as its script reads them."""

import base64
import gzip
import json
import re
from typing import Any


def unpacked(text: str) -> Any:
    """What was packed."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def data_of(html: str) -> dict[str, Any]:
    """The data of a whole page."""
    found = re.search(r'<script type="application/octet-stream" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return unpacked(found[1])


def records(packed: dict[str, Any]) -> list[dict[str, Any]]:
    """Columns as nested records again."""
    found: list[dict[str, Any]] = [{} for _ in range(packed["n"])]
    for path, column in packed["columns"].items():
        *outer, last = path.split("/")
        values = (
            [column["words"][at] if at >= 0 else None for at in column["of"]] if isinstance(column, dict) else column
        )
        for record, value in zip(found, values, strict=True):
            if value is not None:
                for key in outer:
                    record = record.setdefault(key, {})
                record[last] = value
    return found
