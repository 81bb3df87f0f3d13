"""VGG-Flow: the regression of the velocity on a value gradient, approximated by that of the reward at x0_hat."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gradbench.diffusion.detached import detached_chart, through
from gradbench.estimators.base import GradientEstimate
from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo
from gradbench.estimators.pathwise.planned import Seen
from gradbench.estimators.pathwise.totals import Totals
from gradbench.estimators.refusals import no_leap
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits

SHARES = {"quadratic": 2, "linear": 1, "constant": 0}
BLOCKS = 5


@dataclass(frozen=True)
class ValueGradientGuidance(MonteCarlo):
    """At the base, without the learned correction, the gradient of the loss is

        sum_k m_k eta_k (dO_k/d theta)^T (dx0_hat/dx)^T grad L(x0_hat_k),    eta = alpha^2, alpha or 1,

    with O the velocity of rectified flow (else v), m_k the length of step k in its clock, and x0_hat_k that of the
    chain's state k. jacobian: whether dx0_hat/dx includes the network's own, as the paper writes it, or is that at
    detached O, as in the released code. law: the steps used: `all`, or `released`, the last and one of each of
    five blocks, never the first, with the sum scaled by N over their number. x_T is not reached. References: Liu
    et al., 2025, VGG-Flow, arXiv:2512.05116, and its released code.
    """

    eta: str
    jacobian: bool
    law: str
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_leap("v", traits)

    def queries(self, problem: Problem) -> float:
        return len(self._chosen(problem.steps, np.random.default_rng(0)))

    def __call__(self, problem: Problem) -> GradientEstimate:
        if problem.rollout.noise is not None or self.law != "all":
            return super().__call__(problem)
        estimate = MonteCarlo.__call__(replace(self, draws=1), problem)  # nothing is random
        return replace(estimate, draws=None, batch_means=None)

    def block(self, block: Block) -> BlockSum:
        problem, rollout = block.problem, block.rollout
        calls, state = problem.denoiser.calls, rollout.start(block.x_T)
        chart, states, outputs = detached_chart("v", rollout.schedule), list[Tensor](), list[Tensor]()
        with torch.no_grad():
            for k in range(rollout.steps):
                seen = Seen(rollout.field)
                states.append(state[0])
                state = rollout.rule.step(seen, state, rollout.interval(k))
                outputs.append(seen.output(rollout, chart, k, states[k]))
            x_0 = rollout.finish(state)
            value = block.value(x_0).sum().item()
        forward, totals = problem.denoiser.calls - calls, Totals(problem.wrt)
        chosen = self._chosen(rollout.steps, block.random) if problem.wrt else np.array([], int)
        for k in chosen:
            t, t1 = rollout.grid[k], rollout.grid[k + 1]
            c_x, c_v = through(chart, t, (1.0, 0.0))
            end = (c_x * states[k] + c_v * outputs[k]).requires_grad_()
            with torch.enable_grad():
                (signal,) = torch.autograd.grad(block.value(end).sum(), end)
                x = states[k].detach().requires_grad_(self.jacobian)
                v = problem.denoiser.field(x, t, chart.weights(t))
            through_v = torch.autograd.grad(v, x, c_v * signal, retain_graph=True)[0] if self.jacobian else 0.0
            signal = c_x * signal + through_v
            share = rollout.schedule.alpha(t) ** SHARES[self.eta] * rollout.steps / len(chosen)
            cotangent = (chart.tau(t1) - chart.tau(t)) * share * signal
            totals.add(torch.autograd.grad(v, problem.wrt, cotangent, allow_unused=True))
        return BlockSum(None, totals.values, x_0, value, forward)

    def _chosen(self, steps: int, random: np.random.Generator) -> np.ndarray:
        if self.law == "all" or steps <= BLOCKS:
            return np.arange(steps)
        drawn = [int(random.choice(part)) for part in np.array_split(np.arange(steps - 1), BLOCKS)]
        return np.unique([*(max(1, k) for k in drawn), steps - 1])
