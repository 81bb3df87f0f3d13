"""The network's output as a plan differentiates it, and the links of a chain built from it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gradbench.diffusion.batch import per_sample
from gradbench.diffusion.chart import Chart
from gradbench.diffusion.detached import detached_chart, held_chart, through
from gradbench.estimators.pathwise.plan import Leaps, Plan
from gradbench.samplers.base import Field
from gradbench.samplers.rollout import Rollout


def mask(rows: np.ndarray, like: Tensor) -> Tensor:
    """A number per sample (n) as a tensor that broadcasts over samples."""
    return per_sample(_moved(rows, like), like)


def indices(rows: np.ndarray, like: Tensor) -> Tensor | None:
    """The indices of the rows in a mask (n), or None if it holds all."""
    return None if rows.all() else _moved(np.flatnonzero(rows), like)


def _moved(array: np.ndarray, like: Tensor) -> Tensor:
    """A plan's array on the device of the states; copying to a GPU does not block."""
    return torch.from_numpy(array).to(like.device, non_blocking=True)


def guess(rollout: Rollout, plan: Plan, k: int, x: Tensor) -> Tensor:
    """x0_hat = c_x x + c_O O at the state with index k, of which O alone is detached."""
    denoiser, t = rollout.denoiser, rollout.grid[k]
    own = held_chart(plan.detach, rollout.schedule, t)
    (c_x, c_held), weights = through(own, t, (1.0, 0.0)), own.weights(t)
    if torch.is_grad_enabled():
        held, *_ = planned(lambda x: denoiser.fields(x, t, weights), plan, k, denoiser.rowwise)(x)
    else:
        held = denoiser.field(x, t, weights)
    return torch.add(c_x * x, held, alpha=c_held)


def step_field(rollout: Rollout, plan: Plan, k: int) -> Field:
    """The chart's field F in step k as the plan differentiates it: F = c_x x + c_O O, of which O alone is detached.

    Its value is F's own.
    """
    denoiser, chart = rollout.denoiser, rollout.field.chart
    if (plan.through[k] == 1).all() and (plan.active[k] == 1).all():
        return rollout.field
    alone = rollout.rule.stages == 1 and denoiser.rowwise

    def field(t: float, x: Tensor) -> Tensor:
        own, weights = held_chart(plan.detach, rollout.schedule, t), chart.weights(t)
        if weights == own.weights(t):
            return planned(lambda x: denoiser.fields(x, t, weights), plan, k, alone)(x)[0]
        held, whole = planned(lambda x: denoiser.fields(x, t, own.weights(t), weights), plan, k, alone)(x)
        c_x, c_held = through(own, t, weights)
        value = c_held * held + c_x * x if c_x else c_held * held
        # the parts of a prediction agree up to its rounding only, which the division by alpha may magnify
        off = (whole - value).detach()
        return value + (off * mask(plan.active[k] != 0, off).to(off) if alone else off)

    return field


def planned(
    fields: Callable[[Tensor], list[Tensor]], plan: Plan, k: int, alone: bool
) -> Callable[[Tensor], list[Tensor]]:
    """The fields of one evaluation in step k, the first as the plan differentiates it: with its share of the gradient.

    alone: whether active samples may be evaluated without the others, whose rows are then 0. Not so for a multistage
    rule, whose later stages are evaluated at points that depend on earlier ones, nor for a network, which may have one
    condition per sample, draw dropout for the whole batch, or mix the samples of a batch.
    """
    weight, share = plan.active[k], plan.through[k]

    def weighted(value: Tensor, by: np.ndarray) -> Tensor:
        """The value, with `by` times its gradient."""
        if (by == 1).all():
            return value
        held = value.detach()
        return held + mask(by, value).to(value) * (value - held)

    def entered(x: Tensor) -> Tensor:
        """The network's input, with the share of its gradient."""
        return weighted(x, share) if share.any() else x.detach()

    def as_planned(x: Tensor) -> list[Tensor]:
        if not weight.any():
            return [torch.zeros_like(x)] * 2
        if not alone or weight.all():
            first, *others = fields(entered(x))
            return [weighted(first, weight), *others]
        rows = _moved(np.flatnonzero(weight), x)
        first, *others = fields(entered(x)[rows])
        found = [weighted(first, weight[weight != 0]), *others]
        return [torch.zeros_like(x).index_add(0, rows, value) for value in found]

    return as_planned


class Seen:
    """A field that remembers its first value: that at the point from which a step starts."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.first: Tensor | None = None

    def __call__(self, t: float, x: Tensor) -> Tensor:
        value = self.field(t, x)
        self.first = value if self.first is None else self.first
        return value

    def output(self, rollout: Rollout, chart: Chart, k: int, x: Tensor) -> Tensor:
        """The field of another chart at the state x with index k, from which the step started."""
        t = rollout.grid[k]
        c_x, c_own = through(chart, t, rollout.field.chart.weights(t))
        assert self.first is not None
        return (self.first - c_x * x) / c_own if c_x else self.first / c_own


class Landing:
    """Where the leaps of a plan land, tracked while the chain runs: how far from its states, per sample."""

    def __init__(self, rollout: Rollout, plan: Plan, leaps: Leaps) -> None:
        self.rollout, self.leaps = rollout, leaps
        self.chart = detached_chart(plan.detach, rollout.schedule)
        self.at: Tensor | None = None
        self.distance: Tensor | None = None

    def pass_by(self, k: int, x: Tensor, seen: Seen) -> None:
        """Moves every leap on by the output O at the state x with index k, which the sampler saw."""
        if self.leaps.floor is not None:
            self._arrive(k, x)
            leaves = (self.leaps.first == k) | (self.leaps.middle == k)
            start = mask(self.leaps.carry[k], x).to(x) * x
            at = start if self.at is None else torch.where(mask(leaves, x), start, self.at)
            held = seen.output(self.rollout, self.chart, k, x)
            self.at = at + mask(self.leaps.gain[k], x).to(x) * held

    def _arrive(self, k: int, x: Tensor) -> None:
        here = self.leaps.middle == k
        if here.any() and self.at is not None:
            self._add((x - self.at).abs().flatten(1).mean(1), here)

    def _add(self, distance: Tensor, here: np.ndarray) -> None:
        assert self.leaps.floor is not None
        floored = distance.clamp(min=self.leaps.floor)
        added = torch.where(_moved(here, distance), floored, 0.0)
        self.distance = added if self.distance is None else self.distance + added

    def weight(self, x_0: Tensor) -> Tensor | None:
        """1 / (max(d_middle, floor) + max(d_end, floor)) of every sample; None without a floor."""
        if self.leaps.floor is None:
            return None
        assert self.at is not None
        self._add((x_0 - self.at).abs().flatten(1).mean(1), np.full(len(x_0), True))
        assert self.distance is not None
        return 1.0 / self.distance
