"""A Gaussian mixture: a nonlinear score in closed form, and the flow by a high-order solve."""

from collections.abc import Mapping
from typing import Any

from gradbench.problems.spec import Flow, Parts

from ..analytic import PARAMS, Arrays, analytic, parts


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """Means N(0, 1.5^2), standard deviations log-uniform in [0.2, 1], logits N(0, 0.5^2), shift N(0, 0.3^2)."""
    import numpy as np

    from gradbench.diffusion.mixture import MixtureLaw
    from gradbench.diffusion.schedule import make_schedule
    from gradbench.references.fine import fine_flow

    a = Arrays(arrays, seed, params["dim"])
    count = params["components"]
    condition = a.normal("condition", a.dim, scale=0.3)
    means = a.normal("means", count, a.dim, scale=1.5)
    log_std = a.uniform("log_std", np.log(0.2), 0.0, count, a.dim)
    logits = a.normal("logits", count, scale=0.5)
    objective = a.objective(params["objective"])
    law = MixtureLaw(make_schedule(params["schedule"]), condition, means, log_std, logits)
    return parts(law, objective, a.dim, ("means", "log_std", "logits"), fine_flow)


SPEC = analytic(
    name="mixture",
    summary="a Gaussian mixture with a common shift; nonlinear score, flow gradients by a solve to 1e-12",
    citation="Song et al., 2021, arXiv:2011.13456, section 4.3; Hairer et al., 1993 (DOP853)",
    build=build,
    params={**PARAMS, "components": 4},
    arrays=("condition", "means", "log_std", "logits", "target", "weight"),
    flow=Flow.FINE_SOLVE,
    preload=("gradbench.diffusion.mixture", "gradbench.objectives.quadratic", "scipy.integrate"),
)
