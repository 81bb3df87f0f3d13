"""A rotated product of one-dimensional mixtures: a nonlinear score whose flow is exact in any dimension."""

from collections.abc import Mapping
from typing import Any

from gradbench.problems.spec import Flow, Parts

from ..analytic import PARAMS, Arrays, analytic, parts


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """Means N(0, 1.5^2), standard deviations log-uniform in [0.2, 1], logits N(0, 0.5^2), shift N(0, 0.3^2)."""
    import numpy as np

    from gradbench.diffusion.mixture import ProductMixtureLaw
    from gradbench.diffusion.schedule import make_schedule
    from gradbench.diffusion.transport import flow

    a = Arrays(arrays, seed, params["dim"])
    count = params["components"]
    rotation = a.rotation()
    condition = a.normal("condition", a.dim, scale=0.3)
    means = a.normal("means", a.dim, count, scale=1.5)
    log_std = a.uniform("log_std", np.log(0.2), 0.0, a.dim, count)
    logits = a.normal("logits", a.dim, count, scale=0.5)
    objective = a.objective(params["objective"])
    law = ProductMixtureLaw(make_schedule(params["schedule"]), condition, means, log_std, logits, rotation)
    return parts(law, objective, a.dim, ("means", "log_std", "logits"), lambda p, *where: flow(p.denoiser, *where))


SPEC = analytic(
    name="product-mixture",
    summary="a rotated product of one-dimensional mixtures; nonlinear score, exact flow by monotone transport",
    citation="Villani, 2003, Topics in optimal transportation, theorem 2.18 (monotone rearrangement)",
    build=build,
    params={**PARAMS, "components": 3},
    arrays=("condition", "means", "log_std", "logits", "rotation", "target", "weight"),
    flow=Flow.TRANSPORT,
    preload=("gradbench.diffusion.transport", "gradbench.objectives.quadratic"),
)
