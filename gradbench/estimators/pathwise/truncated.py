"""Truncated pathwise estimators and surrogates: the transpose of a chain under a plan, see `plan`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradbench.diffusion.batch import per_sample
from gradbench.diffusion.detached import detached_chart
from gradbench.estimators.ambient import Ambient
from gradbench.estimators.base import GradientEstimate
from gradbench.estimators.hooks import silenced
from gradbench.estimators.leaves import Leaves, guarded
from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo
from gradbench.estimators.pathwise.mean_cost import mean_cost
from gradbench.estimators.pathwise.pathwise import Differentiable, refuse_second_order
from gradbench.estimators.pathwise.plan import Plan, PlanDistribution
from gradbench.estimators.pathwise.planned import Landing, Seen, guess, indices, mask, planned, step_field
from gradbench.estimators.pathwise.pullback import Cotangents, pull
from gradbench.estimators.pathwise.totals import Totals
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import State
from gradbench.samplers.rollout import Rollout


@dataclass(frozen=True)
class Truncated(Differentiable, MonteCarlo):
    """The gradient of plans drawn at random; the mean over `draws` draws if the sampler or the plan is random.

    The forward pass keeps no tape, and only the states from the first active step on; each active step is then
    recomputed on its own tape. As a differentiable sample, it draws a random plan from torch's global generator.
    """

    plans: PlanDistribution
    draws: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return self.plans.refuses(traits)

    def __call__(self, problem: Problem) -> GradientEstimate:
        drawing = problem.rollout.noise is not None or self.plans.random
        return (MonteCarlo if drawing else Differentiable).__call__(self, problem)

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        random = np.random.default_rng(int(torch.randint(1 << 62, ())) if self.plans.random else 0)
        return truncate(rollout, self._drawn(rollout, 1, len(x_T), random), x_T, wrt)

    def reaches_x_T(self, steps: int) -> bool:
        return self.plans.reaches_x_T(steps)

    @property
    def random(self) -> bool:
        return self.plans.random

    def cost(self, problem: Problem) -> tuple[float, float, float] | None:
        if not self.plans.random:
            return None
        return mean_cost(problem.rollout, self.plans, truncate, "x_T" in problem.targets, bool(problem.wrt))

    def _drawn(self, rollout: Rollout, draws: int, batch: int, random: np.random.Generator) -> Plan:
        """A plan for each sample; for a network, which evaluates whole batches, one for the batch of each draw."""
        if rollout.denoiser.rowwise:
            return self.plans.draw(rollout, draws * batch, random)
        return self.plans.draw(rollout, draws, random).of(np.repeat(np.arange(draws), batch))

    def block(self, block: Block) -> BlockSum:
        problem, denoiser = block.problem, block.problem.denoiser
        calls = denoiser.calls
        plan = self._drawn(block.rollout, block.size, len(problem.x_T), block.random)
        x_T = block.x_T.requires_grad_("x_T" in problem.targets)
        with torch.enable_grad():
            x_0 = truncate(block.rollout, plan, x_T, problem.wrt)
            forward = denoiser.calls - calls
            value = problem.objective(x_0).sum()
        inputs = [x_T, *problem.wrt]
        used = [leaf for leaf in inputs if leaf.requires_grad]
        found = iter(torch.autograd.grad(value, used, allow_unused=True) if value.requires_grad else [None] * len(used))
        grads = [next(found) if leaf.requires_grad else None for leaf in inputs]
        return BlockSum(grads[0], grads[1:], x_0, value.item(), forward)


def truncate(rollout: Rollout, plan: Plan, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
    """x_0 (n, *x) at the plan's stops, with the plan's backward pass."""
    leaves = Leaves.of(wrt)
    return _Truncated.apply(rollout, plan, leaves, x_T, *leaves)  # type: ignore[return-value]


class _Truncated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rollout: Rollout, plan: Plan, leaves: Leaves, x_T: Tensor, *wrt: Tensor) -> Tensor:
        ambient, state, n = Ambient(rollout.denoiser), rollout.start(x_T), rollout.steps
        first = min(plan.first, int(plan.stop.min()))
        stops, kept, parts = sorted(set(plan.stop.tolist())), dict[int, State](), list[int]()
        landing = None if plan.leaps is None else Landing(rollout, plan, plan.leaps)
        x_0, outputs = torch.zeros_like(x_T), dict[int, Tensor]()
        for k in range(n + 1):
            parts.append(len(state))
            if k >= first:
                kept[k] = state
            if k in stops and k < n:
                with ambient.replay(k):
                    x_0 = torch.where(mask(plan.stop == k, x_0), guess(rollout, plan, k, state[0]), x_0)
            if k == stops[-1]:
                break
            with ambient.record(k):
                if landing is None:
                    state = rollout.step(k, state)
                else:
                    seen, point = Seen(rollout.field), state[0]
                    state = rollout.rule.step(seen, state, rollout.interval(k))
                    landing.pass_by(k, point, seen)
                    if plan.active[k].any() and seen.first is not None:
                        outputs[k] = seen.first
        if n in stops:
            with ambient.record(n):
                x_0 = torch.where(mask(plan.stop == n, x_0), rollout.finish(state), x_0)
        ambient.settle()
        ctx.rollout, ctx.plan, ctx.kept, ctx.parts, ctx.ambient = rollout, plan, kept, parts, ambient
        ctx.leaves, ctx.x_0, ctx.outputs = leaves, x_0, outputs
        ctx.weight = None if landing is None else landing.weight(x_0)
        ctx.save_for_backward(x_T, *wrt)
        return x_0.clone()

    @staticmethod
    @guarded
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        refuse_second_order()
        x_T, *wrt = ctx.saved_tensors
        totals = Totals(wrt)
        ctx.witness = ctx.ambient.witness()
        with silenced(wrt):
            result = _swept(ctx, x_T, cotangent, totals)
        return _answer(ctx, wrt, result, totals)


def _swept(ctx: Any, x_T: Tensor, cotangent: Tensor, totals: Totals) -> Tensor | None:
    """The gradient of x_T, None if the plan does not reach it; those of the leaves are added to the totals."""
    rollout, plan, carried = ctx.rollout, ctx.plan, Cotangents([None])
    if ctx.weight is not None:
        cotangent = per_sample(ctx.weight, cotangent) * cotangent
    for k in range(int(plan.stop.max()), -1, -1):
        state = ctx.kept.get(k)
        if k < rollout.steps and any(c is not None for c in carried):
            carried = (_step_back if plan.leaps is None else _leap_back)(ctx, k, state, carried, totals)
        here = plan.stop == k
        if here.any():
            added = _from_end(ctx, k, state, cotangent * mask(here, cotangent), totals)
            none = all(c is None for c in carried)
            carried = added if none else [_sum(a, b) for a, b in zip(carried, added, strict=True)]
        if k and not plan.alive[:k].any() and not (plan.stop < k).any():
            return None  # cut: x_T is not reached
    if plan.scale_x_T is None:
        return None
    with ctx.ambient.replay():
        (result,) = pull(lambda s: rollout.start(*s), (x_T,), carried, totals)
    return None if result is None else plan.scale_x_T * result


def _answer(ctx: Any, wrt: Sequence[Tensor], x_T: Tensor | None, totals: Totals) -> tuple[Any, ...]:
    """The result of the backward pass. Without active steps there is no gradient, and unreached leaves are no error.

    Nor are parameters of the network that the steps of a random plan do not reach: those of another draw may.
    """
    plan: Plan = ctx.plan
    ctx.witness.check()
    if (plan.active * plan.alive).any():
        elsewhere = set() if plan.reaches else {id(parameter) for parameter in ctx.rollout.denoiser.parameters()}
        missing = [leaf for leaf, total in zip(wrt, totals.values, strict=True) if total is None]
        ctx.leaves.refuse_unreached([leaf for leaf in missing if id(leaf) not in elsewhere])
    if x_T is None and plan.law is not None and plan.law.reaches_x_T(ctx.rollout.steps):
        x_T = torch.zeros_like(ctx.saved_tensors[0])  # another draw may reach it
    return None, None, None, x_T, *totals.values


def _step_back(ctx: Any, k: int, state: State | None, carried: Cotangents, totals: Totals) -> Cotangents:
    """Cotangents before step k from those after it, through the field as the plan differentiates it."""
    rollout, plan = ctx.rollout, ctx.plan
    carried = _alive(plan, k, carried)
    if not plan.alive[k].any():
        return carried
    if state is None:  # before the first active step only the linear part acts, and the field is not evaluated
        like = next(c for c in carried if c is not None)
        before: State = (torch.zeros_like(like),) * ctx.parts[k]
    else:
        before = state
    whole = partial(rollout.rule.step, step_field(rollout, plan, k), interval=rollout.interval(k))
    # detached samples are not evaluated unless later stages need their values
    active = plan.active[k]
    evaluated = active != 0 if rollout.rule.stages == 1 else np.full(active.shape, active.any())

    def link(inputs: State) -> State:
        after = whole(inputs)
        if state is not None:
            ctx.witness.compare(k, after, ctx.kept[k + 1], state, indices(evaluated, after[0]))
        return after

    with ctx.ambient.replay(k):
        return pull(link, before, carried, totals, float(plan.scale[k]))


def _leap_back(ctx: Any, k: int, state: State | None, carried: Cotangents, totals: Totals) -> Cotangents:
    """Cotangents at the state with index k from those at the end of the leap in which it lies."""
    rollout, plan = ctx.rollout, ctx.plan
    carried = _alive(plan, k, carried)[:1]
    active = plan.active[k] != 0
    if not active.any():
        return [c if c is None else c * mask(plan.leaps.carry[k], c).to(c) for c in carried]
    assert state is not None  # they are kept from the first active step on
    chart, t, denoiser = detached_chart(plan.detach, rollout.schedule), rollout.grid[k], rollout.denoiser
    weights = chart.weights(t), rollout.field.chart.weights(t)
    outputs = planned(lambda x: denoiser.fields(x, t, *weights), plan, k, denoiser.rowwise)

    def link(inputs: State) -> State:
        (x,) = inputs
        value, seen = outputs(x)
        ctx.witness.compare(k, (seen,), (ctx.outputs[k],), (), indices(active, value))
        carry, gain = (mask(numbers[k], x).to(x) for numbers in (plan.leaps.carry, plan.leaps.gain))
        return (carry * x + gain * value,)

    with ctx.ambient.replay(k):
        return pull(link, state[:1], carried, totals, float(plan.scale[k]))


def _alive(plan: Plan, k: int, carried: Cotangents) -> Cotangents:
    """The cotangents of samples whose way back crosses step k, zero for the others."""
    alive = plan.alive[k]
    if not alive.any():
        return [None] * len(carried)
    return [c if c is None or alive.all() else c * mask(alive, c) for c in carried]


def _from_end(ctx: Any, k: int, state: State, cotangent: Tensor, totals: Totals) -> Cotangents:
    """Cotangents of the state with index k, from the samples that stop there."""
    rollout, plan = ctx.rollout, ctx.plan

    def end(inputs: State) -> State:
        if k == rollout.steps:
            # if `finish` evaluates the field again, it does so as in the last step
            field, interval = step_field(rollout, plan, k - 1), rollout.interval(k - 1)
            return (rollout.rule.finish(field, inputs, interval),)
        x_0 = guess(rollout, plan, k, inputs[0])
        here = (plan.stop == k) & (plan.active[k] != 0)
        ctx.witness.compare(k, (x_0,), (ctx.x_0,), state[:1], indices(here, x_0))
        return (x_0,)

    with ctx.ambient.replay(k):
        return pull(end, state, [cotangent], totals)


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b
