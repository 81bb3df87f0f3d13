"""The rows of a folder, of a file of JSON lines or of a parquet file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradbench.bench.columns import BY_NAME, STATUSES, Type
from gradbench.bench.row import Row
from gradbench.bench.schema import migrate
from gradbench.bench.store import latest, read_rows
from gradbench.checks import UsageError

OPTIONS = tuple(name for name, column in BY_NAME.items() if column.type is Type.OPTIONS)


def load_rows(path: Path, strict: bool = True) -> list[Row]:
    """The latest row of each (cell_id, replicate), in today's schema, without empty columns.

    path: a folder written by `gradbench run --out`, or a file; a torn last line is ignored only in a folder, where a
    killed writer may have left it. strict: other lines of a folder that are not rows are an error, as a comparison
    requires, where an unreadable cell would count as missing; otherwise they are ignored. Raises `ValueError` for any
    other path and for a file that is corrupt or not from gradbench.
    """
    if path.is_dir():
        return _folder(path, strict)
    if not path.exists():
        raise UsageError(f"no such file or folder: {str(path)!r}")
    return latest(_parquet(path) if path.suffix == ".parquet" else _lines(path))


def _folder(folder: Path, strict: bool) -> list[Row]:
    shards = sorted(path for path in folder.glob("rows-*.jsonl") if path.is_file())
    if shards:
        return latest((row for shard in shards for row in _lines(shard, torn=True)) if strict else read_rows(folder))
    if (folder / "rows.parquet").is_file():
        return latest(_parquet(folder / "rows.parquet"))
    if (folder / "plan.json").is_file():
        return []
    raise UsageError(f"no rows in {str(folder)!r}: name a folder that `gradbench run --out` wrote, or a file of rows")


def _lines(path: Path, torn: bool = False) -> Iterator[Row]:
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        try:
            content = json.loads(line)
        except ValueError:
            if torn and not line.endswith(b"\n"):
                return
            content = None
        yield _row(content, f"{path}, line {number},")


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise UsageError(f"{path} is not a parquet file: {str(error)[:80]}") from None
    for number, row in enumerate(table.to_pylist(), 1):
        try:
            content = {k: json.loads(v) if k in OPTIONS and v else v for k, v in row.items()}
            yield _row(content, f"{path}, row {number},")
        except (TypeError, json.JSONDecodeError):
            raise UsageError(f"{path}, row {number}, is not a gradbench row: its parameters are not JSON") from None


def _row(content: Any, where: str) -> Row:
    """The row without its empty columns; `ValueError` if it is not a row."""
    kinds = {"cell_id": str, "replicate": int, "status": str}
    if not isinstance(content, dict) or any(not isinstance(content.get(name), kind) for name, kind in kinds.items()):
        raise UsageError(f"{where} is not a gradbench row: it needs {', '.join(kinds)}")
    if content["status"] not in STATUSES:
        raise UsageError(f"{where} has the unknown status {content['status'][:40]!r}; allowed: {', '.join(STATUSES)}")
    return Row.of(migrate(content))
