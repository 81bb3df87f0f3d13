"""Truncated pathwise estimators: the transpose of a chain, with some Jacobians left out according to a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradbench.diffusion.batch import per_sample
from gradbench.estimators.ambient import Ambient
from gradbench.estimators.base import GradientEstimate
from gradbench.estimators.leaves import Leaves
from gradbench.estimators.monte_carlo.base import Block, BlockSum, MonteCarlo
from gradbench.estimators.pathwise.mean_cost import mean_cost
from gradbench.estimators.pathwise.pathwise import Differentiable, refuse_second_order
from gradbench.estimators.pathwise.pullback import Cotangents, Totals, pull
from gradbench.estimators.pathwise.truncation import (
    LastSteps,
    OneStepLeft,
    Plan,
    PlanDistribution,
    Shortcut,
    SpacedSteps,
    cut_of,
)
from gradbench.problems.problem import Problem
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import Field, State
from gradbench.samplers.rollout import Rollout


@dataclass(frozen=True)
class Truncated(Differentiable, MonteCarlo):
    """The gradient of a plan drawn for each sample; the mean over `draws` draws if the sampler or the plan is random.

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
        return truncate(rollout, self.plans.draw(rollout.steps, len(x_T), random), x_T, wrt)

    def reaches_x_T(self, steps: int) -> bool:
        return any(plan.reaches_x_T for _, plan in self.plans.mixture(steps))

    @property
    def random(self) -> bool:
        return self.plans.random

    def cost(self, problem: Problem) -> tuple[float, float, float] | None:
        if not self.plans.random:
            return None
        return mean_cost(problem.rollout, self.plans, truncate, "x_T" in problem.targets, bool(problem.wrt))

    def block(self, block: Block) -> BlockSum:
        problem, denoiser = block.problem, block.problem.denoiser
        calls = denoiser.calls
        plan = self.plans.draw(block.rollout.steps, len(block.x_T), block.random)
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
        x_0 = torch.zeros_like(x_T)
        for k in range(n + 1):
            parts.append(len(state))
            if k >= first:
                kept[k] = state
            if k in stops and k < n:
                with ambient.replay(k):
                    x_0 = torch.where(_mask(plan.stop == k, x_0), _guess(rollout, plan, k, state), x_0)
            if k == stops[-1]:
                break
            with ambient.record(k):
                state = rollout.step(k, state)
        if n in stops:
            with ambient.record(n):
                x_0 = torch.where(_mask(plan.stop == n, x_0), rollout.finish(state), x_0)
        ambient.settle()
        ctx.rollout, ctx.plan, ctx.kept, ctx.parts, ctx.ambient = rollout, plan, kept, parts, ambient
        ctx.leaves, ctx.x_0 = leaves, x_0
        ctx.save_for_backward(x_T, *wrt)
        return x_0.clone()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        refuse_second_order()
        rollout, plan, (x_T, *wrt) = ctx.rollout, ctx.plan, ctx.saved_tensors
        totals, carried = Totals(wrt), Cotangents([None])
        ctx.witness = ctx.ambient.witness()
        for k in range(int(plan.stop.max()), -1, -1):
            state = ctx.kept.get(k)
            if k < rollout.steps and any(c is not None for c in carried):
                carried = _step_back(ctx, k, state, carried, totals)
            here = plan.stop == k
            if here.any():
                added = _from_end(ctx, k, state, cotangent * _mask(here, cotangent), totals)
                none = all(c is None for c in carried)
                carried = added if none else [_sum(a, b) for a, b in zip(carried, added, strict=True)]
            if k and not plan.alive[:k].any() and not (plan.stop < k).any():
                return _answer(ctx, wrt, None, totals)  # cut: x_T is not reached
        with ctx.ambient.replay():
            (result,) = pull(lambda s: rollout.start(*s), (x_T,), carried, totals)
        return _answer(ctx, wrt, None if result is None else plan.scale_x_T * result, totals)


def _answer(ctx: Any, wrt: Sequence[Tensor], x_T: Tensor | None, totals: Totals) -> tuple[Any, ...]:
    """The result of the backward pass. Without active steps there is no gradient, and unreached leaves are no error."""
    ctx.witness.check()
    if (ctx.plan.active * ctx.plan.alive).any():
        ctx.leaves.refuse_unreached([leaf for leaf, total in zip(wrt, totals.values, strict=True) if total is None])
    return None, None, None, x_T, *totals.values


def _step_back(ctx: Any, k: int, state: State | None, carried: Cotangents, totals: Totals) -> Cotangents:
    """Cotangents before step k from those after it, through the field as the plan differentiates it."""
    rollout, plan = ctx.rollout, ctx.plan
    alive = plan.alive[k]
    if not alive.any():
        return [None] * len(carried)
    carried = [c if c is None or alive.all() else c * _mask(alive, c) for c in carried]
    if state is None:  # before the first active step only the linear part acts, and the field is not evaluated
        like = next(c for c in carried if c is not None)
        before: State = (torch.zeros_like(like),) * ctx.parts[k]
    else:
        before = state
    whole = partial(rollout.rule.step, _of_eps(rollout, plan, k), interval=rollout.interval(k))
    # detached samples are not evaluated unless later stages need their values
    evaluated = plan.active[k] == 1 if rollout.rule.stages == 1 else np.full_like(alive, plan.active[k].any())

    def link(inputs: State) -> State:
        after = whole(inputs)
        if state is not None:
            ctx.witness.compare(k, after, ctx.kept[k + 1], state, _rows(evaluated, after[0]))
        return after

    with ctx.ambient.replay(k):
        return pull(link, before, carried, totals, float(plan.scale[k]))


def _from_end(ctx: Any, k: int, state: State, cotangent: Tensor, totals: Totals) -> Cotangents:
    """Cotangents of the state with index k, from the samples that stop there."""
    rollout, plan = ctx.rollout, ctx.plan

    def end(inputs: State) -> State:
        if k == rollout.steps:
            # if `finish` evaluates the field again, it does so as in the last step
            field, interval = _of_eps(rollout, plan, k - 1), rollout.interval(k - 1)
            return (rollout.rule.finish(field, inputs, interval),)
        x_0 = _guess(rollout, plan, k, inputs)
        here = (plan.stop == k) & (plan.active[k] == 1)
        ctx.witness.compare(k, (x_0,), (ctx.x_0,), state[:1], _rows(here, x_0))
        return (x_0,)

    with ctx.ambient.replay(k):
        return pull(end, state, [cotangent], totals)


def _guess(rollout: Rollout, plan: Plan, k: int, state: State) -> Tensor:
    """x0_hat = (x - sigma eps) / alpha at the state with index k."""
    denoiser, t = rollout.denoiser, rollout.grid[k]
    alpha, sigma = denoiser.schedule.alpha(t), denoiser.schedule.sigma(t)
    if not torch.is_grad_enabled():
        return torch.add(state[0], denoiser.field(state[0], t, (0.0, 1.0)), alpha=-sigma) / alpha
    field = _planned(lambda t, x: denoiser.field(x, t, (0.0, 1.0)), plan, k, denoiser.rowwise)
    return torch.add(state[0], field(t, state[0]), alpha=-sigma) / alpha


def _of_eps(rollout: Rollout, plan: Plan, k: int) -> Field:
    """The chart's field with eps_hat as the plan differentiates it, F = w_x0 (x - sigma eps)/alpha + w_eps eps.

    In every chart eps is what is detached, as in the published codes, so the linear part includes that of x0_hat. At
    alpha = 0, where x0_hat is not a function of eps, F itself is detached.
    """
    denoiser, chart = rollout.denoiser, rollout.field.chart
    weight = plan.active[k]
    if plan.through and (weight == 1).all():
        return rollout.field
    alone = rollout.rule.stages == 1 and denoiser.rowwise
    eps_hat = _planned(lambda t, x: denoiser.field(x, t, (0.0, 1.0)), plan, k, alone)
    whole = _planned(rollout.field, plan, k, alone)

    def field(t: float, x: Tensor) -> Tensor:
        alpha, sigma = denoiser.schedule.alpha(t), denoiser.schedule.sigma(t)
        w_x0, w_eps = chart.weights(t)
        if alpha == 0:
            return whole(t, x)
        if not w_x0:
            return w_eps * eps_hat(t, x)
        return (w_x0 / alpha) * x + (w_eps - w_x0 * sigma / alpha) * eps_hat(t, x)

    return field


def _planned(field: Field, plan: Plan, k: int, alone: bool) -> Field:
    """The field of step k as the plan differentiates it.

    alone: whether active samples may be evaluated without the others. Not so for a multistage rule, whose later stages
    are evaluated at points that depend on earlier ones, nor for a network, which may have one condition per sample,
    draw dropout for the whole batch, or mix the samples of a batch.
    """
    weight = plan.active[k]

    def planned(t: float, x: Tensor) -> Tensor:
        source = x if plan.through else x.detach()
        if (weight == 1).all():
            return field(t, source)
        if not weight.any():
            return torch.zeros_like(x)
        if not alone:
            value, kept = field(t, source), _mask(weight, x).to(x)
            return value * kept + value.detach() * (1 - kept)
        rows = _moved(np.flatnonzero(weight), x)
        share = per_sample(_moved(weight[weight > 0], x).to(x), x)
        value = field(t, source[rows])
        return torch.zeros_like(x).index_add(0, rows, value * share)

    return planned


def _mask(rows: np.ndarray, like: Tensor) -> Tensor:
    """A row mask (n) as a tensor that broadcasts over samples."""
    return per_sample(_moved(rows, like), like)


def _rows(rows: np.ndarray, like: Tensor) -> Tensor | None:
    """The indices of the rows in a mask (n), or None if it holds all."""
    return None if rows.all() else _moved(np.flatnonzero(rows), like)


def _moved(array: np.ndarray, like: Tensor) -> Tensor:
    """A plan's array on the device of the states; copying to a GPU does not block."""
    return torch.from_numpy(array).to(like.device, non_blocking=True)


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


def draft(k: int, draws: int | None) -> Truncated:
    """DRaFT-K, see `LastSteps`: backpropagation through the last k steps; k = N is the full gradient."""
    return Truncated(LastSteps(k), draws)


def alignprop(law: str, draws: int | None) -> Truncated:
    """AlignProp with one of the published truncation distributions or the unbiased reweighted one; see `cut_of`."""
    return Truncated(cut_of(law), draws)


def refl(window: int | None, draws: int | None) -> Truncated:
    """ReFL, see `OneStepLeft`: the reward of x0_hat at one of the last `window` states, through one evaluation."""
    return Truncated(OneStepLeft(window), draws)


def drtune(k: int, early: int, draws: int | None) -> Truncated:
    """DRTune, see `SpacedSteps`: k spaced steps, with the gradient stopped at every network input."""
    return Truncated(SpacedSteps(k, early), draws)


def shortcut(draws: int | None) -> Truncated:
    """SDO, see `Shortcut`: only the graph of one random step is kept."""
    return Truncated(Shortcut(), draws)
