"""Data without a type of its own: what becomes JSON, and columns of a row before there is one."""

from typing import Any

Json = dict[str, Any]  # an object that json.dumps takes
Columns = dict[str, Any]  # some columns of a row, by name; see `gradbench.bench.columns`
