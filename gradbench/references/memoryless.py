"""The gradient of E[L] under the reverse SDE from pure noise, the memoryless process.

It is what losses on the forward process estimate, whatever sampler made their samples (`estimators.forward_process`).
"""

import torch

from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.references.reference import ROUNDING, Reference

METHOD = "moments of the exact reverse SDE from normal x_T"


def memoryless_gradient(problem: Problem) -> Gradients | None:
    """Gradient of E[L] under the exact reverse SDE from grid[0] to grid[-1], in float64, for as many samples as x_T.

    x_T ~ N(0, sigma_T^2) is part of the expectation and no target. None unless the distribution's SDE and the
    objective's expectation over a Gaussian are known.
    """
    if not (hasattr(problem.denoiser, "reverse_sde") and hasattr(problem.objective, "expectation")):
        return None
    exact = problem.to(torch.float64)
    grid, size = exact.rollout.grid, exact.x_T.shape[1]
    spread = exact.rollout.schedule.sigma(grid[0])

    def value(x_T: torch.Tensor) -> torch.Tensor:
        basis = torch.cat([torch.zeros(1, size), spread * torch.eye(size)]).to(x_T)
        means, own = exact.denoiser.reverse_sde(basis, grid[0], grid[-1])  # type: ignore[operator]
        gain = means[1:] - means[0]
        variance = (own + gain.T @ gain).diagonal()
        return len(x_T) * exact.objective.expectation(means[:1], variance).sum()  # type: ignore[attr-defined]

    grads = exact.differentiate_value(value)[0]
    return Gradients((target, gradient) for target, gradient in grads.items() if target != "x_T")


def memoryless_reference(problem: Problem) -> Reference | None:
    """The same as a reference, if it is known."""
    grads = memoryless_gradient(problem)
    return None if not grads else Reference(grads, METHOD, ROUNDING)
