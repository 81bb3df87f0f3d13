"""Rows made by hand, for every test that needs some: what a test does not choose is the same everywhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from gradbench.analysis.cells import Group, cells
from gradbench.bench.row import Row

MIB = 1024**2


def row(
    estimator: str = "backprop",
    steps: int | None = 10,
    flow: float | None = None,
    *,
    own: float | None = None,
    expected: float | None = None,
    options: Mapping[str, Any] | None = None,
    case: str = "gaussian",
    case_params: Mapping[str, Any] | None = None,
    sampler: str = "ddim",
    sampler_params: Mapping[str, Any] | None = None,
    targets: Sequence[str] = ("x_T",),
    seed: int = 0,
    replicate: int = 0,
    dtype: str = "float64",
    device: str | None = "cpu",
    machine_class: str | None = "two cores",
    status: str = "ok",
    time_s: float | None = 1.0,
    nfe: tuple[float | None, float | None, float | None] | None = None,
    peak_bytes: float | None = MIB,
    reference_tol: float | None = 1e-12,
    **columns: Any,
) -> Row:
    """A row that succeeded.

    flow, own, expected: errors for x_T against the flow, the sampler's own and the expected gradient. options: of the
    estimator. nfe: evaluations forward and backward, and VJPs; by default as many as steps. columns: any others.
    """
    forward, backward, vjps = nfe or (steps, steps, steps)
    errors = {"flow_error_x_T": flow, "sampler_error_x_T": own, "expected_error_x_T": expected}
    made = {
        **{"case": case, "case_params": dict({"dim": 6, "batch": 4} if case_params is None else case_params)},
        **{"sampler": sampler, "sampler_params": dict(sampler_params or {}), "steps": steps},
        **{"estimator": estimator, "estimator_params": dict(options or {}), "targets": list(targets)},
        **{"seed": seed, "replicate": replicate, "dtype": dtype, "device": device, "machine_class": machine_class},
        **{"status": status, "time_s": time_s, "peak_bytes": peak_bytes, "reference_tol": reference_tol},
        **{"nfe_forward": forward, "nfe_backward": backward, "vjps": vjps},
    }
    return Row(made | {name: error for name, error in errors.items() if error is not None} | columns)


def failed(
    estimator: str = "backprop", steps: int | None = 10, status: str = "oom", reason: str = "too large", **columns: Any
) -> Row:
    """A row that ended badly, without times, counts, bytes and errors."""
    nothing = {"time_s": None, "nfe": (None, None, None), "peak_bytes": None}
    return row(estimator, steps, **{**nothing, **columns}, status=status, reason=reason)


def drawn(
    estimator: str = "draft",
    steps: int = 20,
    *,
    bias: float | None = -0.5,
    std_error: float | None = 0.01,
    snr: float | None = 0.25,
    distance: float | None = 0.65,
    ratio: float | None = 0.5,
    draws: int | None = 1600,
    nfe: tuple[float, float, float] = (30, 10, 5),
    **columns: Any,
) -> Row:
    """A row of an estimator that draws, for x_T.

    bias along the expected gradient g with its standard error; snr of one draw; distance |m - g|/|g| and ratio |m|/|g|
    of the mean m of all draws.
    """
    numbers = {"bias_x_T": bias, "std_error_x_T": std_error, "snr_x_T": snr, "bias_norm_x_T": distance}
    return row(estimator, steps, nfe=nfe, **{**numbers, "expected_norm_ratio_x_T": ratio, "draws": draws, **columns})


def cell(*rows: Mapping[str, Any]) -> Group:
    """The one cell of these rows."""
    (found,) = cells(rows)
    return found
