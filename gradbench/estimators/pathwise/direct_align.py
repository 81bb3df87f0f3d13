"""Direct-Align (SRPO): the reward of a sample that was noised with known noise and recovered in one step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.diffusion.detached import detached_chart, leap
from gradbench.estimators.base import GradientEstimate
from gradbench.estimators.leaves import Demanded, Leaves
from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo
from gradbench.estimators.pathwise.mean_cost import chain_cost
from gradbench.estimators.pathwise.pathwise import Differentiable
from gradbench.estimators.pathwise.totals import Totals
from gradbench.estimators.refusals import no_known_noise
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.rollout import Rollout

TABLE, LONGEST = 1000, 100
FIRST, LAST = 5, 995  # of the index m
BRANCHES = ("denoise", "inversion")


@dataclass(frozen=True)
class Step:
    """A step from t0 to t1 of the noised sample. weight: a factor on its gradient."""

    t0: float
    t1: float
    weight: float = 1.0


@cache
def released_steps(branch: str, shift: float) -> tuple[Step, ...]:
    """The steps of the released code, for the indices m = 5..995, on a table of 1,000 times from S(0.9) to S(0.5).

    S(u) = shift u / (1 + (shift - 1) u). `denoise` goes from entry 1000 - m - k down to entry 1000 - m,
    k = min(1000 - m, 100, m), and `inversion` up the same table, with max(m - k, 1) in place of m.
    """
    first, last = (shift * u / (1 + (shift - 1) * u) for u in (0.9, 0.5))
    times = np.linspace(first, last, TABLE).tolist()
    found: list[Step] = []
    for m in range(FIRST, LAST + 1):
        k = min(TABLE - m, LONGEST, m)
        at = m if branch == "denoise" else max(m - k, 1)
        noisy, clean = times[TABLE - at - k], times[TABLE - at]
        found.append(Step(noisy, clean) if branch == "denoise" else Step(clean, noisy))
    return tuple(found)


def recovered(rollout: Rollout, x_0: Tensor, e: Tensor, step: Step) -> Tensor:
    """x_r: x_0 (n, *x) noised with e to t0, moved to t1 by one DDIM step, with the noise then removed,

        x = alpha_0 x_0 + sigma_0 e,    y = A x + B O(x),    x_r = (y - sigma_1 e) / alpha_1,

    which is x_0 itself for a network that predicts e exactly. Only the network is on the tape.
    """
    schedule, chart = rollout.schedule, detached_chart("v", rollout.schedule)
    carry, gain = leap(chart, step.t0, step.t1)
    x = schedule.noised(x_0, e, step.t0)
    y = carry * x + gain * rollout.denoiser.field(x, step.t0, chart.weights(step.t0))
    return (y - schedule.sigma(step.t1) * e) / schedule.alpha(step.t1)


@dataclass(frozen=True)
class DirectAlign(Differentiable, MonteCarlo):
    """The gradient of L(x_r), see `recovered`, at a step drawn at random: no cotangent is carried, x lies on the line
    from the sample to its initial noise and not on the chain, and L is differentiated at x_r.

    The noise is e = x_T / sigma_T. branch: `denoise` (a step towards the data), `inversion` (a step towards the noise,
    whose reward is -L), or `both`, their sum. The published rewards compare two texts, (1 + k) r_plus - r_minus, which
    belongs to the objective. law: `released` (see `released_steps`), or `chain`, ours: the chain's own steps, whose sum
    is the expectation, each with the factor alpha_1 if `weight` is `alpha`. As a differentiable sample it is x_r for
    one branch, and draws one step for the batch from torch's global generator. x_T is not reached. References: Shen et
    al., 2025, Directly aligning the full diffusion trajectory, arXiv:2509.06942, and its released code.
    """

    branch: str
    law: str
    weight: str | None
    shift: float
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_known_noise(self.law, self.branch, traits)

    def reaches_x_T(self, steps: int) -> bool:
        return False

    @property
    def random(self) -> bool:
        return True

    def __call__(self, problem: Problem) -> GradientEstimate:
        return MonteCarlo.__call__(self, problem)

    def queries(self, problem: Problem) -> float:
        return len(BRANCHES) if self.branch == "both" else 1

    def cost(self, problem: Problem) -> tuple[float, float, float]:
        taped = (len(BRANCHES) if self.branch == "both" else 1) * bool(problem.wrt)
        return chain_cost(problem.rollout), taped, taped

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        if self.branch == "both":
            raise UsageError("srpo has two rewards, of which a sample can have one: use branch=denoise or inversion")
        steps = self.steps(rollout, self.branch)
        step = steps[int(torch.randint(len(steps), ()))]
        with torch.no_grad():
            x_0 = rollout.sample(x_T)
        leaves = Leaves.of(wrt)
        with leaves.guarding(rollout.denoiser):
            x = recovered(rollout, x_0, self._noise(rollout, x_T), step)
        x = x if step.weight == 1 else x.detach() + step.weight * (x - x.detach())
        return Demanded.apply(x, x.grad_fn, leaves) if leaves.demanded and leaves else x  # type: ignore[return-value]

    def block(self, block: Block) -> BlockSum:
        problem, rollout = block.problem, block.rollout
        calls = problem.denoiser.calls
        with torch.no_grad():
            x_0 = rollout.sample(block.x_T)
            values = block.value(x_0)
        forward, totals = problem.denoiser.calls - calls, Totals(problem.wrt)
        # a step for each sample; for a network, which is evaluated on a whole batch, one for the batch of each draw
        count = len(x_0) if problem.denoiser.rowwise else block.size
        drawn = block.random.integers(0, len(self.steps(rollout, BRANCHES[0])), count).repeat(len(x_0) // count)
        e = self._noise(rollout, block.x_T)
        for branch in BRANCHES if self.branch == "both" else (self.branch,):
            steps = self.steps(rollout, branch)
            for place in np.unique(drawn) if problem.wrt else ():
                self._add(block, totals, branch, steps[place], x_0, e, np.flatnonzero(drawn == place))
        return BlockSum(None, totals.values, x_0, values.sum().item(), forward)

    def _add(
        self, block: Block, totals: Totals, branch: str, step: Step, x_0: Tensor, e: Tensor, rows: np.ndarray
    ) -> None:
        """Adds the gradient of the samples that drew this step; a network is evaluated on the whole batch."""
        every = torch.from_numpy(rows).to(x_0.device, non_blocking=True)
        alone = block.problem.denoiser.rowwise
        with torch.enable_grad():
            x = recovered(block.rollout, *((x_0[every], e[every]) if alone else (x_0, e)), step)
            total = block.value(x).sum() if alone else block.value(x)[every].sum()
        sign = 1.0 if branch == "denoise" else -1.0
        totals.add(torch.autograd.grad(total, totals.wrt, allow_unused=True), sign * step.weight)

    def _noise(self, rollout: Rollout, x_T: Tensor) -> Tensor:
        return x_T.detach() / rollout.schedule.sigma(rollout.grid[0])

    def steps(self, rollout: Rollout, branch: str) -> Sequence[Step]:
        """The steps of a branch, one of which is drawn uniformly."""
        if self.law != "chain":
            return released_steps(branch, self.shift)
        grid, alpha, found = rollout.grid, rollout.schedule.alpha, list[Step]()
        for t0, t1 in zip(grid, grid[1:], strict=False):
            ends = (t0, t1) if branch == "denoise" else (t1, t0)
            found.append(Step(*ends, rollout.steps * (alpha(ends[1]) if self.weight else 1.0)))
        return found
