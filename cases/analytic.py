"""Shared by the cases of closed-form distributions: their parameters, their arrays and their objective."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from gradbench.checks import UsageError
from gradbench.problems.spec import CaseSpec, Parts

PARAMS: dict[str, Any] = {
    "dim": 6,
    "schedule": "scaled-linear",
    "t_max": 1.0,
    "t_min": 0.001,
    "batch": 4,
    "objective": "quadratic+sine",
}


def check(params: Mapping[str, Any]) -> None:
    """The dimension, the number of components, the schedule and the time range."""
    from gradbench import checks
    from gradbench.diffusion.schedule import make_schedule

    for name in ("dim", "components"):
        checks.positive_integer(name, params.get(name, 1))
    checks.time_range(params["t_max"], params["t_min"], make_schedule(params["schedule"]).t_end)


def sizes(arrays: Mapping[str, Any]) -> dict[str, int]:
    """The dimension, and the number of components, of the given arrays."""
    from gradbench import checks

    found = {}
    for name in ("condition", "target", "weight"):
        if name in arrays:
            array = checks.array(name, arrays[name])
            if array.ndim != 1:
                raise UsageError(f"{name} must have shape (d,), got {tuple(array.shape)}")
            found.setdefault("dim", array.numel())
    if "logits" in arrays:
        found["components"] = checks.array("logits", arrays["logits"]).shape[-1]
    return found


class Arrays:
    """The arrays of a problem: those given, and others drawn in a fixed order from numpy's default generator."""

    def __init__(self, given: Mapping[str, Any], seed: int, dim: int) -> None:
        import numpy as np

        from gradbench import checks

        self.given = {name: checks.array(name, value) for name, value in given.items()}
        self.dim = dim
        self.draw = np.random.default_rng([seed, self.dim])

    def pick(self, name: str, drawn: Any) -> Any:
        """The array given under that name, or the one drawn."""
        import torch

        return self.given.get(name, torch.as_tensor(drawn))

    def normal(self, name: str, *shape: int, scale: float = 1.0) -> Any:
        """Normal with standard deviation `scale`."""
        return self.pick(name, scale * self.draw.standard_normal(shape))

    def uniform(self, name: str, low: float, high: float, *shape: int) -> Any:
        """Uniform between low and high."""
        return self.pick(name, self.draw.uniform(low, high, shape))

    def rotation(self) -> Any:
        """A Haar rotation."""
        import numpy as np

        orthogonal, upper = np.linalg.qr(self.draw.standard_normal((self.dim, self.dim)))
        return self.pick("rotation", orthogonal * np.sign(np.diag(upper)))

    def objective(self, name: str) -> Any:
        """The quadratic objective with target N(0, 1) and weights in [0.5, 1.5], with or without the sine."""
        from gradbench import checks
        from gradbench.objectives.quadratic import Quadratic

        target, weight = self.normal("target", self.dim), self.uniform("weight", 0.5, 1.5, self.dim)
        checks.shape("target", target.shape, (self.dim,))
        return Quadratic(target, weight, sine=name == "quadratic+sine")


def parts(law: Any, objective: Any, dim: int, names: tuple[str, ...], flow: Any) -> Parts:
    """The result of `build` for a distribution with those parameters; flow(law, x_T, t_max, t_min)."""

    def exact(problem: Any, x_T: Any) -> Any:
        return flow(problem, x_T, problem.rollout.grid[0], problem.rollout.grid[-1])

    return Parts(law, objective, law.condition, tuple(getattr(law, name) for name in names), (dim,), exact)


# the spec of such a case, without its own name, summary, citation, build, arrays, flow and preload
analytic = partial(
    CaseSpec,
    objectives=("quadratic+sine", "quadratic"),
    params=PARAMS,
    check=check,
    sizes=sizes,
    noise="nested",
    draws=100_000,
    references=("flow", "sampler"),
)
