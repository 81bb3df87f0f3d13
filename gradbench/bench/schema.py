"""The schema of a row: its number, migrations of older rows, and its JSON schema. Old rows load for ever."""

from collections.abc import Callable, Mapping
from typing import Any

from gradbench.bench.columns import IDENTITY, SCHEMA, STATUSES, TABLE, Column, Type
from gradbench.checks import UsageError
from gradbench.data import Columns
from gradbench.problems.spec import REFERENCES, TARGETS

REQUIRED = ("schema", "cell_id", "replicate", "status", "started_at", *IDENTITY)
Migration = Callable[[Columns], Columns]


def _one_to_two(row: Columns) -> Columns:
    """Schema 2 gave each reference its own tolerance, and each row its attempt number."""
    known = [k for k in REFERENCES if any(row.get(f"{k}_error_{t}") is not None for t in TARGETS)]
    return {**row, "attempt": 1, **{f"{k}_tol": row.get("reference_tol") for k in known}}


# by starting schema; a schema that only added columns needs none: see `Column.since`
MIGRATIONS: dict[int, Migration] = {1: _one_to_two}


def migrate(row: Mapping[str, Any]) -> Columns:
    """A row of any schema up to today's, in today's; `ValueError` for a later one."""
    number = row.get("schema") or 1
    if number > SCHEMA:
        raise UsageError(
            f"a row has schema {number}, newer than {SCHEMA} of this gradbench: upgrade gradbench to read the row"
        )
    found = dict(row)
    for older in range(number, SCHEMA):
        found = MIGRATIONS[older](found) if older in MIGRATIONS else found
    return {**found, "schema": SCHEMA}


def json_schema() -> Columns:
    """The JSON schema of a row, as published in results/schema/."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"gradbench row, schema {SCHEMA}",
        "type": "object",
        "additionalProperties": False,
        "required": list(REQUIRED),
        "properties": {column.name: _property(column) for column in TABLE},
    }


def _property(column: Column) -> Columns:
    special: dict[Type, Columns] = {
        Type.STATUS: {"enum": list(STATUSES)},
        Type.TARGETS: {"type": "array", "items": {"enum": list(TARGETS)}},
        Type.REALS: {"type": ["array", "null"], "items": {"type": "number"}},
        Type.OPTIONS: {"type": "object"} if column.identity else {"type": ["object", "null"]},
    }
    return special.get(column.type) or {"type": [column.type.json, "null"]}
