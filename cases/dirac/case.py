"""One data point: DDIM is exact in one step, and at sigma = 0 no gradient is left."""

from collections.abc import Mapping
from typing import Any

from gradbench.problems.spec import Flow, Parts

from ..analytic import Arrays, analytic, parts


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> Parts:
    """The point is N(0, 1) if not given; it is the condition, and there are no parameters."""
    from gradbench.diffusion.mixture import DiracLaw
    from gradbench.diffusion.schedule import make_schedule

    a = Arrays(arrays, seed, params["dim"])
    law = DiracLaw(make_schedule(params["schedule"]), a.normal("condition", a.dim))
    return parts(law, a.objective(params["objective"]), a.dim, (), lambda p, *where: p.denoiser.flow(*where))


SPEC = analytic(
    name="dirac",
    summary="a single data point; DDIM is exact in one step from any time",
    citation="Zhang, Tao and Chen, 2023, gDDIM, arXiv:2206.05564, proposition 1",
    build=build,
    arrays=("condition", "target", "weight"),
    targets=("x_T", "condition"),
    noise="keyed",
    flow=Flow.CLOSED_FORM,
    preload=("gradbench.diffusion.mixture", "gradbench.objectives.quadratic"),
)
