"""A Gaussian law: the score, the flow and every gradient of it are known in closed form."""

from collections.abc import Mapping
from typing import Any

NAME = "gaussian"
SUMMARY = "a Gaussian law of any mean and covariance; flow gradients in closed form"
CITATION = "Song et al., 2021, arXiv:2011.13456, section 4.3 (probability-flow ODE)"
OBJECTIVES = ("quadratic+sine", "quadratic")
PARAMS: dict[str, Any] = {
    "dim": 6,
    "schedule": "scaled-linear",
    "t_max": 1.0,
    "t_min": 0.001,
    "batch": 4,
    "objective": "quadratic+sine",
}
ARRAYS = ("condition", "log_std", "rotation", "target", "weight")
GRID = "uniform-t"
DTYPE = "float64"
REFERENCES = ("flow", "sampler", "expected")
REQUIRES: tuple[str, ...] = ()
PRELOAD = ("gradbench.diffusion.analytic", "gradbench.objectives.quadratic")


def check(params: Mapping[str, Any]) -> None:
    """The dimension and the schedule's name."""
    from gradbench import checks
    from gradbench.diffusion.schedule import make_schedule

    checks.positive_integer("dim", params["dim"])
    make_schedule(params["schedule"])


def build(params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The law, the objective and x_T of the problem, in float64.

    Arrays that are not given are drawn from numpy's default generator with the key (seed, dim): condition and target
    standard normal, standard deviations log-uniform in [0.2, 2], weights uniform in [0.5, 1.5], a Haar rotation.
    """
    import numpy as np
    import torch

    from gradbench import checks
    from gradbench.diffusion.analytic import GaussianLaw
    from gradbench.diffusion.schedule import make_schedule
    from gradbench.objectives.quadratic import Quadratic

    given = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in arrays.items()}
    vectors = {name: value for name, value in given.items() if name != "rotation"}
    dim = len(next(iter(vectors.values()))) if vectors else params["dim"]
    draw = np.random.default_rng([seed, dim])
    orthogonal, upper = np.linalg.qr(draw.standard_normal((dim, dim)))
    drawn = {
        "condition": draw.standard_normal(dim),
        "log_std": draw.uniform(np.log(0.2), np.log(2.0), dim),
        "rotation": orthogonal * np.sign(np.diag(upper)),
        "target": draw.standard_normal(dim),
        "weight": draw.uniform(0.5, 1.5, dim),
    }
    values = {name: given.get(name, torch.as_tensor(value)) for name, value in drawn.items()}
    for name, value in values.items():
        checks.shape(name, value.shape, (dim, dim) if name == "rotation" else (dim,))
    schedule = make_schedule(params["schedule"])
    law = GaussianLaw(schedule, values["condition"], values["log_std"], values["rotation"])
    return {
        "denoiser": law,
        "objective": Quadratic(values["target"], values["weight"], sine=params["objective"] == "quadratic+sine"),
        "condition": law.condition,
        "parameters": (law.log_std,),
        "shape": (dim,),
        "flow": lambda problem, x_T: problem.denoiser.flow(x_T, problem.rollout.grid[0], problem.rollout.grid[-1]),
    }
