"""Rows as short as a test of the answer needs them."""

MIB = 1024**2


def row(estimator, flow=None, sampler=None, steps=10, time_s=1.0, peak=MIB, case="gaussian", **columns):
    return {
        "case": case, "sampler": "ddim", "steps": steps, "estimator": estimator, "status": "ok", "dtype": "float64",
        "reference_tol": 1e-10, "flow_error_x_T": flow, "sampler_error_x_T": sampler, "time_s": time_s,
        "peak_bytes": peak, **columns,
    }  # fmt: skip
