"""Every reference a second time, by a method that shares as little as possible with the first.

| reference | first | second |
|---|---|---|
| known flow of a distribution | closed form, transport | eighth-order solve of the ODE, transposed |
| flow of a mixture | eighth-order solve in the angle chart, transposed | forward sensitivities in time by scipy |
| flow of a stochastic chain | the linear SDE on its path | the transposed chain of 2^12 steps on that path |
| sampler | transposed chain | central differences of the chain in random directions |
| expected | moments read from the step, on the tape | central differences of a recursion, Jacobians by autograd |
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from gradbench.diffusion.sde_chart import make_chart
from gradbench.estimators.pathwise.pathwise import checkpoint
from gradbench.problems.gradients import Gradients, flatten
from gradbench.problems.problem import Problem
from gradbench.references.fine import fine_flow
from gradbench.samplers.base import Interval
from gradbench.samplers.spec import sampler_spec
from gradbench.samplers.stochastic import StochasticRule


def by_fine_solve(problem: Problem) -> Gradients:
    """The flow gradient by an eighth-order rule in the log-SNR chart."""
    exact, ends = problem.to(torch.float64), (problem.rollout.grid[0], problem.rollout.grid[-1])
    return exact.differentiate(lambda x_T: fine_flow(exact, x_T, *ends, chart="log-snr"))[0]


def by_sensitivities(problem: Problem) -> Gradients:
    """The flow gradient by forward sensitivities, d(x, dx/dp)/dt, with scipy's DOP853 at rtol 1e-13.

    The field's Jacobians come from torch.func; a sample's state carries dx/dx_T and dx/d(leaf) for every leaf.
    """
    from scipy.integrate import solve_ivp

    exact = problem.to(torch.float64)
    denoiser, grid = exact.denoiser, exact.rollout.grid
    chart = make_chart("time", denoiser.schedule)
    names = {id(p): name for name, p in denoiser.named_parameters()}
    leaves = {names[id(leaf)]: leaf.detach() for leaf in exact.wrt}
    sizes = [leaf.numel() for leaf in leaves.values()]
    size = exact.x_T.shape[1]

    def field(x: Tensor, values: dict[str, Tensor], t: float) -> Tensor:
        return torch.func.functional_call(denoiser, values, (x[None], t)).combine(*chart.weights(t))[0]

    jacobians = torch.func.jacrev(field, argnums=(0, 1))

    def slope(t: float, flat: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(flat).reshape(size, -1)
        x, tangent = state[:, 0].clone(), state[:, 1:]
        of_x, of_leaves = jacobians(x, leaves, t)
        own = torch.cat([j.reshape(size, -1) for j in of_leaves.values()], 1) if leaves else x.new_zeros(size, 0)
        moving = of_x @ tangent + torch.cat([x.new_zeros(size, size), own], 1)
        return torch.cat([field(x, leaves, t)[:, None], moving], 1).flatten().detach().numpy()

    ends = (grid[0], grid[-1])
    rows, shared = [], torch.zeros(sum(sizes), dtype=torch.float64)
    for x_T in exact.x_T:
        start = torch.cat([x_T[:, None], torch.eye(size).double(), torch.zeros(size, sum(sizes)).double()], 1)
        solved = solve_ivp(slope, ends, start.flatten().numpy(), method="DOP853", rtol=1e-13, atol=1e-15)
        end = torch.from_numpy(solved.y[:, -1]).reshape(size, -1)
        x_0 = end[:, 0].clone().requires_grad_()
        (cotangent,) = torch.autograd.grad(exact.objective(x_0[None]).sum(), x_0)
        rows.append(cotangent @ end[:, 1 : 1 + size])
        shared += cotangent @ end[:, 1 + size :]
    parts = [g.reshape(leaf.shape) for g, leaf in zip(shared.split(sizes), leaves.values(), strict=True)]
    return exact.gradients(torch.stack(rows), parts)


def by_fine_chain(problem: Problem, steps: int = 4096) -> Gradients:
    """The gradient of the exact SDE on a path, from the SDE-DPM-Solver++-1 chain with one step per cell."""
    exact = problem.to(torch.float64)
    spec = sampler_spec("sde-dpm++1[grid=uniform-log-snr]")
    rollout = spec.rollout(exact.denoiser, steps, exact.t_max, exact.t_min, exact.x_T, exact.seed, "nested")
    return exact.differentiate(lambda x_T: checkpoint().sample(rollout, x_T, exact.wrt))[0]


def directional(value: Callable[[], float], leaves: Sequence[Tensor], direction: Sequence[Tensor]) -> float:
    """d/ds value at leaves + s direction: central differences with one Richardson step, error of order 1e-10."""

    def moved(s: float) -> float:
        with torch.no_grad():
            for leaf, d in zip(leaves, direction, strict=True):
                leaf.add_(d, alpha=s)
            found = value()
            for leaf, d in zip(leaves, direction, strict=True):
                leaf.sub_(d, alpha=s)
        return found

    coarse, fine = ((moved(h) - moved(-h)) / (2 * h) for h in (5e-4, 2.5e-4))
    return (4 * fine - coarse) / 3


def against_differences(exact: Problem, grads: Gradients, value: Callable[[], float], tries: int = 2) -> float:
    """Largest disagreement of gradients with differences of `value`, a function of `exact`'s own x_T and leaves.

    Each target is tested in random normal directions, relative to |gradient|, the standard deviation of the directional
    derivative.
    """
    generator, worst = torch.Generator().manual_seed(0), 0.0
    for target in grads:
        leaves = exact.of(target)
        for _ in range(tries):
            direction = [torch.randn(leaf.shape, generator=generator, dtype=torch.float64) for leaf in leaves]
            found = directional(value, leaves, direction)
            expected = (grads.flat(target) @ flatten(tuple(direction))).item()
            worst = max(worst, abs(found - expected) / grads.norm(target))
    return worst


def expected_value(exact: Problem) -> float:
    """E[L] of a stochastic chain without history: m' = mean(m), P' = J P J^T + std^2, J by autograd."""
    rollout, rule = exact.rollout, exact.rollout.rule
    assert isinstance(rule, StochasticRule)
    means, size = exact.x_T, exact.x_T.shape[1]
    covariance = torch.zeros(size, size, dtype=torch.float64)
    for k in range(rollout.steps):
        interval = rollout.interval(k)

        def mean(x: Tensor, interval: Interval = interval) -> Tensor:
            return rule.transition(rollout.field, (x[None],), interval)[0][0][0]

        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(mean, means[0])
        moved, std = rule.transition(rollout.field, (means,), interval)
        means = moved[0]
        covariance = jacobian @ covariance @ jacobian.T + std**2 * torch.eye(size).double()
    return exact.objective.expectation(means, covariance.diagonal()).sum().item()  # type: ignore[attr-defined]
