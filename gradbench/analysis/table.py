"""The table that the terminal and the report print: medians of every cell."""

from typing import Any

from gradbench.analysis.cells import REFERENCES, TARGETS, Cell, cells

ERRORS = tuple(f"{reference}_error_{target}" for reference in REFERENCES for target in TARGETS)
BIASES = tuple(f"{column}_{target}" for target in TARGETS for column in ("bias", "std_error", "snr"))
TOLERANCES = tuple(f"{reference}_tol" for reference in REFERENCES)
COSTS = ("nfe_forward", "nfe_backward", "vjps", "time_s", "peak_bytes", "x0_drift")
COLUMNS = ("case", "sampler", "steps", "estimator", "status", *ERRORS, *BIASES, *COSTS, "reason")


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line a (case, sampler, steps, estimator): status, medians over seeds and replicates, and the reason if any.

    Cells that differ in targets, dtype, device or machine class stay apart; these four, `n` (rows) and `n_ok` come
    along. `time_s` is in seconds, `peak_bytes` in bytes, `*_error_*` relative; a number is None where it is unknown.
    """
    return [table_line(cell) for cell in cells(rows)]


def table_line(cell: Cell) -> dict[str, Any]:
    """The line of one cell."""
    return {
        "case": cell.case,
        "sampler": cell.sampler,
        "steps": cell.steps,
        "estimator": cell.estimator,
        "status": cell.status,
        **{column: cell.median(column) for column in (*ERRORS, *BIASES, *COSTS)},
        **{column: cell.median(column) for column in TOLERANCES},
        "reason": cell.reason,
        "targets": cell.targets,
        "dtype": cell.dtype,
        "device": cell.device,
        "machine_class": cell.machine_class,
        "n": len(cell.rows),
        "n_ok": len(cell.measured),
    }
