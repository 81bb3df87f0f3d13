"""The gradient of L of the exact flow, or of the exact reverse SDE on the chain's own Wiener path."""

from pathlib import Path

import torch

from gradbench.diffusion.wiener import LEVELS, path
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Problem
from gradbench.references.kept import kept
from gradbench.references.reference import ROUNDING, Reference
from gradbench.references.solved import METHOD, solved_flow


def flow_gradient(problem: Problem) -> Gradients | None:
    """Gradient of L of the exact flow from grid[0] to grid[-1], in float64 on the problem's own rounded values.

    For a stochastic chain on `nested` noise it is the gradient of the exact solution of the reverse SDE on the same
    Wiener path, if the distribution has one. None if the flow is unknown.
    """
    if problem.sampler.traits.stochastic:
        return path_gradient(problem)
    if problem.flow is None:
        return None
    exact, flow = problem.to(torch.float64), problem.flow
    return exact.differentiate(lambda x_T: flow(exact, x_T))[0]


def path_gradient(problem: Problem, levels: int = LEVELS) -> Gradients | None:
    """Gradient of L of the exact reverse SDE on the problem's Wiener path, resolved into 2^levels cells."""
    on_nested = isinstance(problem.noise, str) and problem.noise == "nested"
    if not (on_nested and problem.sampler.traits.reverse_sde and hasattr(problem.denoiser, "on_path")):
        return None
    exact = problem.to(torch.float64)
    schedule, grid = problem.denoiser.schedule, problem.rollout.grid
    times, draws = path(schedule, grid, problem.seed, tuple(problem.x_T.shape), levels)
    normals = torch.from_numpy(draws).to(exact.x_T.device)
    return exact.differentiate(lambda x_T: exact.denoiser.on_path(x_T, times, normals))[0]  # type: ignore


def flow_reference(problem: Problem, method: str) -> Reference | None:
    """The flow by `method`, if the problem's case knows it, or None.

    On a path, the tolerance is the change from half as many cells.
    """
    flow = flow_gradient(problem)
    if flow is None:
        return None
    if not problem.sampler.traits.stochastic:
        return Reference(flow, method, ROUNDING)
    coarse = path_gradient(problem, LEVELS - 1)
    assert coarse is not None  # because the fine one is not
    return Reference(flow, f"exact reverse SDE on a path of 2^{LEVELS} cells", flow.disagreement(coarse))


def by_solving(problem: Problem, keep: Path | None = None) -> Reference:
    """The flow of a network by two solves of its ODE; their distance is the tolerance. keep: a file for it, or None."""

    def make() -> Gradients:
        solved = solved_flow(problem)
        return Gradients({**solved.grads, "tolerance": torch.tensor(solved.tol, dtype=torch.float64)})

    found = kept(keep, make)
    (tolerance,) = found.tensors("tolerance")
    return Reference(Gradients({t: g for t, g in found.items() if t != "tolerance"}), METHOD, tolerance.item())
