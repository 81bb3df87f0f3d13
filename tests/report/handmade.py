"""Rows made by hand: every number is chosen, so that a test can say what a figure must hold."""

from typing import Any

PLACE = {
    **{"case": "gaussian", "case_params": {"dim": 6, "batch": 4}, "sampler": "ddim", "sampler_params": {}},
    **{"dtype": "float64", "device": "cpu", "machine_class": "two cores", "targets": ["x_T"]},
    **{"status": "ok", "seed": 0, "replicate": 0, "flow_tol": 1e-12},
}


def row(estimator: str, steps: int, error: float | None = None, **other: Any) -> dict[str, Any]:
    """One row that ended well; `error` is flow_error_x_T, and `options` the estimator's."""
    options = other.pop("options", {})
    errors = {} if error is None else {"flow_error_x_T": error}
    costs = {"time_s": 1.0, "nfe_forward": steps, "nfe_backward": steps, "vjps": steps, "peak_bytes": 1000}
    return {**PLACE, **costs, "estimator": estimator, "estimator_params": options, "steps": steps, **errors, **other}


def failed(estimator: str, steps: int, status: str = "oom", reason: str = "too large", **other: Any) -> dict[str, Any]:
    """One row that ended badly."""
    return {**PLACE, "estimator": estimator, "estimator_params": {}, "steps": steps, **other} | {
        "status": status,
        "reason": reason,
    }


def everything() -> list[dict[str, Any]]:
    """Rows for every figure: estimators over steps, dimensions, batches, dtypes, backward grids, draws, failures."""
    orders = {"backprop": 1, "checkpoint": 1, "adjoint-deis": 1, "continuous-adjoint": 2, "adjoint-dpm": 2}
    places = ({}, {"dtype": "float32"}, {"case_params": {"dim": 60, "batch": 4}}, {"case": "mixture"})
    facts = {"flow_cosine_x_T": 0.99, "flow_norm_ratio_x_T": 0.9, "state_bytes": 20, "tape_bytes": 300}
    drawn = {"bias_x_T": -0.2, "std_error_x_T": 0.01, "snr_x_T": 0.5, "bias_norm_x_T": 0.3, "draws": 500}
    drawn |= {"expected_norm_ratio_x_T": 0.9, "expected_error_x_T": 0.3, "sampler_params": {"eta": 1.0}}
    found = [
        row(name, n, 2.0 / n**order, seed=seed, time_s=0.01 * (n + seed), peak_bytes=500 + 50 * n, **facts, **place)
        for name, order in orders.items()
        for n in (5, 10, 20, 40)
        for seed in (0, 1)
        for place in places
    ]
    found += [row("checkpoint", 20, 0.1, case_params={"dim": 6, "batch": b}) for b in (1, 16)]
    found += [row("continuous-adjoint", 40, 3.0 / m, options={"steps": m}) for m in (5, 10, 20)]
    found += [row(name, 20, **drawn) for name in ("draft", "reinforce", "spsa")]
    return [*found, failed("backprop", 80), failed("reversible", 20, "skip", "no inverse step")]


CARD = {
    **{"case": "sd15", "case_params": {"batch": 1}, "dtype": "float16", "device": "cuda", "gpu": "Some Card"},
    **{"flow_tol": None, "evaluation_s": 0.05, "vjp_s": 0.1, "baseline_bytes": 2000},
}


def on_a_card() -> list[dict[str, Any]]:
    """Rows of a GPU: what was predicted, asked of the allocator and taken, and the time of one evaluation and VJP."""
    sizes = {"backprop": (50_000, 50_500), "checkpoint": (1000, 1040), "reversible": (1000, 1300)}
    times = {"backprop": 7.6, "checkpoint": 10.2, "reversible": 13.0}
    return [
        row(
            name,
            50,
            time_s=times[name],
            nfe_backward=0 if name == "backprop" else 50,
            predicted_peak_bytes=predicted,
            requested_bytes=peak - 10,
            peak_bytes=peak,
            reserved_bytes=peak + 2000 + 60,
            **CARD,
        )
        for name, (predicted, peak) in sizes.items()
    ]
