"""The schema of a row: its columns, its number, and how older rows become today's. Old rows load for ever."""

from collections.abc import Callable
from typing import Any

from gradbench.bench.plan import IDENTITY

SCHEMA = 5
STATUSES = ("ok", "skip", "timeout", "oom", "diverged", "error", "crash", "lost")
TARGETS = ("x_T", "condition", "parameters")
KINDS = ("flow", "sampler", "expected")
COLUMNS = (
    *("schema", "cell_id", "run_id", "suite", *IDENTITY, "replicate", "attempt", "status", "phase", "reason"),
    *("time_s", "time_samples", "cpu_time_s", "calibration_s", "nfe_forward", "nfe_backward", "vjps"),
    *("peak_bytes", "baseline_bytes", "reserved_bytes", "device_bytes", "os_peak_bytes", "predicted_peak_bytes"),
    *("requested_bytes", "state_bytes", "tape_bytes", "x0_drift"),
    *("wall_s", "passes_s", "evaluation_s", "vjp_s"),
    *(f"grad_norm_{t}" for t in TARGETS),
    *(f"{k}_{measure}_{t}" for k in KINDS for measure in ("error", "cosine", "norm_ratio") for t in TARGETS),
    *(f"{k}_sample_error_x_T" for k in KINDS),
    *(f"{measure}_{t}" for measure in ("method_error", "rounding_error") for t in TARGETS),
    *(f"{measure}_{t}" for measure in ("bias", "bias_norm", "std_error", "snr") for t in TARGETS),
    *("draws", "reference_method", "reference_tol", "reference_digest", "reference_dtype"),
    *(f"{k}_tol" for k in KINDS),
    *("gradbench", "torch", "git_commit", "git_dirty", "fingerprint", "machine_id", "machine_class", "cpu", "gpu"),
    *("gpu_driver", "gpu_clock_mhz", "gpu_total_bytes", "gpu_used_bytes", "gpu_processes"),
    *("weights", "tf32", "attention", "threads", "load", "started_at"),
)


def _one_to_two(row: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 gave each reference its own tolerance, and rows the number of their attempt."""
    known = [k for k in KINDS if any(row.get(f"{k}_error_{t}") is not None for t in TARGETS)]
    return {**row, "attempt": 1, **{f"{k}_tol": row.get("reference_tol") for k in known}}


def _two_to_three(row: dict[str, Any]) -> dict[str, Any]:
    """Schema 3 added columns only: weights, tf32, attention, device_bytes, method_error_T, rounding_error_T."""
    return row


def _three_to_four(row: dict[str, Any]) -> dict[str, Any]:
    """Schema 4 added columns only: K_sample_error_x_T."""
    return row


def _four_to_five(row: dict[str, Any]) -> dict[str, Any]:
    """Schema 5 added columns only: seconds of the cell, of its passes and of one evaluation, and the state of a GPU."""
    return row


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _one_to_two,
    2: _two_to_three,
    3: _three_to_four,
    4: _four_to_five,
}


def migrate(row: dict[str, Any]) -> dict[str, Any]:
    """A row of any schema up to today's, in today's; `ValueError` for one from the future."""
    number = row.get("schema") or 1
    if number > SCHEMA:
        raise ValueError(
            f"a row has schema {number}, newer than {SCHEMA} of this gradbench: upgrade it to read the row"
        )
    while number < SCHEMA:
        row = MIGRATIONS[number](row)
        number += 1
    return {**row, "schema": SCHEMA}


def json_schema() -> dict[str, Any]:
    """The JSON schema of a row, as results/schema/ publishes it."""
    whole = {
        "schema",
        "replicate",
        "attempt",
        "steps",
        "seed",
        "draws",
        "threads",
        "gpu_processes",
    }
    objects = {"case_params", "sampler_params", "estimator_params"}
    words = {
        *("cell_id", "run_id", "suite", "case", "sampler", "estimator", "dtype", "device", "phase", "reason"),
        *("reference_method", "reference_digest", "reference_dtype", "gradbench", "torch", "git_commit", "fingerprint"),
        *("machine_id", "machine_class", "cpu", "gpu", "gpu_driver", "weights", "attention", "started_at"),
    }

    def kind(name: str) -> dict[str, Any]:
        if name == "status":
            return {"enum": list(STATUSES)}
        if name == "targets":
            return {"type": "array", "items": {"enum": list(TARGETS)}}
        if name == "time_samples":
            return {"type": ["array", "null"], "items": {"type": "number"}}
        if name in objects:
            return {"type": "object"}
        if name in words:
            return {"type": ["string", "null"]}
        if name in whole or name.endswith("_bytes"):
            return {"type": ["integer", "null"]}
        return {"type": ["boolean", "null"]} if name in ("git_dirty", "tf32") else {"type": ["number", "null"]}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"gradbench row, schema {SCHEMA}",
        "type": "object",
        "additionalProperties": False,
        "required": ["schema", "cell_id", "replicate", "status", "started_at", *IDENTITY],
        "properties": {name: kind(name) for name in COLUMNS},
    }
