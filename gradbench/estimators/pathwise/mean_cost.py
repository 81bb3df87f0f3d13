"""The cost of one draw of a random truncation: the mean, over its plans, of the evaluations of one trajectory.

The cost is counted, not derived. Every plan is run on a chain with the same rule but a scalar state and a scalar
parameter, where the numbers of evaluations and pullbacks are the same. Counts are linear in independent step masks,
which are replaced by their expectations, as in the cubature.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from gradbench.diffusion.denoiser import Denoiser, ExactPrediction, Prediction
from gradbench.diffusion.noise import RecordedNoise
from gradbench.diffusion.schedule import Schedule
from gradbench.estimators.pathwise.plan import Plan, PlanDistribution
from gradbench.samplers.rollout import Rollout

Truncate = Callable[[Rollout, Plan, Tensor, Sequence[Tensor]], Tensor]


class _Counter(Denoiser):
    """Predicts theta x in every parametrisation."""

    def __init__(self, schedule: Schedule, trained: bool) -> None:
        super().__init__(schedule)
        self.theta = nn.Parameter(torch.ones(()), trained)

    def predict(self, x: Tensor, t: float) -> Prediction:
        return ExactPrediction(lambda: self.theta * x, lambda: self.theta * x, 1.0, 1.0)


def mean_cost(
    rollout: Rollout, plans: PlanDistribution, truncate: Truncate, x_T: bool, leaves: bool
) -> tuple[float, float, float]:
    """E[forward evaluations], E[backward evaluations] and E[VJPs] of one trajectory, over all plans.

    x_T, leaves: whether the gradients of x_T and of the shared leaves are requested.
    """
    noise = None if rollout.noise is None else RecordedNoise(torch.zeros(rollout.steps, 1, 1))

    def count(plan: Plan) -> np.ndarray:
        counter = _Counter(rollout.denoiser.schedule, leaves)
        chain = replace(rollout, denoiser=counter, noise=noise)
        start = torch.zeros(1, 1, requires_grad=x_T)
        with torch.enable_grad():
            x_0 = truncate(chain, plan, start, list(counter.parameters()))
        forward = counter.calls
        if x_0.requires_grad:
            wanted = [leaf for leaf in (start, counter.theta) if leaf.requires_grad]
            torch.autograd.grad(x_0.sum(), wanted, allow_unused=True)
        return np.array([forward, counter.calls - forward, counter.pulled], float)

    weights, whole = plans.costs(rollout)
    total = np.zeros(3)
    for i, weight in enumerate(weights):
        total += weight * _expected(count, whole.of(np.array([i])))
    forward, backward, pulls = (round(float(value), 9) for value in total)
    return forward, backward, pulls


def chain_cost(rollout: Rollout) -> int:
    """The evaluations of one forward pass of the chain."""
    noise = None if rollout.noise is None else RecordedNoise(torch.zeros(rollout.steps, 1, 1))
    counter = _Counter(rollout.denoiser.schedule, False)
    with torch.no_grad():
        replace(rollout, denoiser=counter, noise=noise).sample(torch.zeros(1, 1))
    return counter.calls


def _expected(count: Callable[[Plan], np.ndarray], plan: Plan) -> np.ndarray:
    """The expected count of a plan for one sample; weights of a random mask are the probabilities of its steps."""
    if not plan.mask:
        return count(plan)
    chances = plan.active[:, 0]
    certain = replace(plan, active=(plan.active == 1).astype(float))
    found = base = count(certain)
    for k in np.flatnonzero((chances > 0) & (chances < 1)):
        active = certain.active.copy()
        active[k] = 1.0
        found = found + chances[k] * (count(replace(certain, active=active)) - base)
    return found
