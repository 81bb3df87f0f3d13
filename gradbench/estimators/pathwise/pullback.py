"""Pullbacks: how the cotangent of x_0 is carried back through the chain, given the states from a recovery.

`Transpose` is exact for the sampler that was run (discretise, then optimise). `ContinuousAdjoint` solves the adjoint
equation of the flow by a rule in a chart (optimise, then discretise): with a_y = kappa dL/dx,

    da_y/dtau = -(dF/dy)^T a_y,      da_p/dtau = -(dF/dp)^T a_y,      from tau_N back to tau_0.

References: Chen et al., 2018, Neural ordinary differential equations, arXiv:1806.07366, algorithm 1.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gradbench.diffusion.sde_chart import make_chart
from gradbench.estimators.contents import Contents
from gradbench.estimators.pathwise.adjoints import refuse_equation, refuse_steps
from gradbench.estimators.pathwise.arrivals import Arrivals, SteeredField, steered_fields
from gradbench.estimators.pathwise.recovery import Recovery
from gradbench.estimators.pathwise.totals import Totals
from gradbench.estimators.pathwise.trajectory import Trajectory
from gradbench.estimators.remembered import Remembered, asks_at_its_state
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import ChartField, Field, Interval, Rule, State
from gradbench.samplers.multistep import TwoStep
from gradbench.samplers.rollout import Rollout

Cotangents = list[Tensor | None]  # one per tensor of a state; None means zero


class Pullback(ABC):
    """Maps dL/dx_0 (b, *x) to dL/dx_T (b, *x) and the gradients of `wrt`."""

    def refuses(self, traits: ProblemTraits, recovery: Recovery) -> str | None:
        """Why it cannot handle a chain whose states come from this recovery, or None."""
        return None

    def changes(self, rollout: Rollout, recovery: Recovery, start: State) -> Contents | Remembered | None:
        """What tells, before the backward pass of a chain from this state, that the network answers otherwise.

        None if the steps are taken again and compared. Called before the forward pass.
        """
        return None

    @abstractmethod
    def sweep(
        self, trajectory: Trajectory, x_T: Tensor, x_0: Tensor, cotangent: Tensor, wrt: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor | None]]:
        """One backward pass over the trajectory from x_T to x_0: dL/dx_T and the gradients of `wrt`."""


@dataclass(frozen=True)
class Transpose(Pullback):
    """Recomputes each step on its own tape and transposes it: a_k = (dx_{k+1}/dx_k)^T a_{k+1}."""

    def sweep(
        self, trajectory: Trajectory, x_T: Tensor, x_0: Tensor, cotangent: Tensor, wrt: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor | None]]:
        totals, rollout, witness = Totals(wrt), trajectory.rollout, trajectory.ambient.witness()
        carried: Sequence[Tensor | None] = (cotangent,)
        n = rollout.steps
        state = trajectory.at(n)

        def step(inputs: State) -> State:
            after = trajectory.step(k, inputs, wrt)
            if trajectory.visited:
                witness.compare(k, after, taken, inputs)
            return after

        def start(inputs: State) -> State:
            first = rollout.start(*inputs)
            trajectory.arrive(state, first)
            return first

        with trajectory.ambient.replay(n):
            carried = pull(lambda s: (rollout.finish(s),), state, carried, totals)
        for k in reversed(range(n)):
            taken, state = state, trajectory.at(k)
            with trajectory.ambient.replay(k):
                carried = pull(step, state, carried, totals)
        with trajectory.ambient.replay():
            (result,) = pull(start, (x_T,), carried, totals)
        witness.check()
        return (torch.zeros_like(x_T) if result is None else result), totals.values


def pull(
    link: Callable[[State], State],
    state: State,
    cotangents: Sequence[Tensor | None],
    totals: Totals,
    scale: float = 1.0,
) -> Cotangents:
    """Cotangents of `state` from those of link(state); adds `scale` times the leaves' gradients to the totals."""
    with torch.enable_grad():
        inputs = tuple(s.detach().requires_grad_() for s in state)
        outputs = link(inputs)
    pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if c is not None and o.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    grads = torch.autograd.grad([o for o, _ in pairs], [*inputs, *totals.wrt], [c for _, c in pairs], allow_unused=True)
    totals.add(grads[len(inputs) :], scale)
    return list(grads[: len(inputs)])


@dataclass(frozen=True)
class ContinuousAdjoint(Pullback):
    """One step of `rule` in `chart` per interval of the backward grid, for the pair (x, a) and the shared gradients.

    steps: the number M of backward steps, None for M = N; see `backward_grid`. Only times and positions are used, never
    a rule's history, so it works after any sampler. After a stochastic chain, the equation is that of the reverse SDE
    on the same path: the drift of the chart's SDE counterpart and no noise, since the diffusion does not depend on x.
    References: Li et al., 2020, arXiv:2001.01328, section 3.
    """

    chart: str
    rule: Rule
    steps: int | None = None

    def refuses(self, traits: ProblemTraits, recovery: Recovery) -> str | None:
        return refuse_equation(self.chart, self.steps, recovery, traits) or refuse_steps(self.steps, traits)

    def changes(self, rollout: Rollout, recovery: Recovery, start: State) -> Contents | Remembered | None:
        asked = [k for _, k in backward_grid(rollout.grid, self.steps or rollout.steps) if k and k < rollout.steps]
        if asked and recovery.visited and asks_at_its_state(rollout, start):
            return Remembered(rollout.denoiser, rollout.grid, asked)
        return Contents(rollout.denoiser)

    def sweep(
        self, trajectory: Trajectory, x_T: Tensor, x_0: Tensor, cotangent: Tensor, wrt: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor | None]]:
        totals, rollout = Totals(wrt), trajectory.rollout
        trajectory.ambient.witness()
        name = self.chart if rollout.noise is None else f"{self.chart}-sde"
        chart = make_chart(name, rollout.denoiser.schedule)
        field = steered_fields(ChartField(rollout.denoiser, chart), rollout)
        arrivals = Arrivals(rollout, totals)
        places = backward_grid(rollout.grid, self.steps or rollout.steps)
        interval, step = None, rollout.steps - 1
        with trajectory.ambient.replay():
            trajectory.at(rollout.steps)
            adjoint = AdjointField(field(step), tuple(wrt))
            state: tuple[Any, ...] = self.rule.start(adjoint, (x_0, cotangent))
            arrivals.add(rollout.steps, cotangent)
            for (t, end), (s, k) in zip(places, places[1:], strict=False):
                step = step if end is None else end - 1  # the step that ends at t, or in which t lies
                adjoint, before = AdjointField(field(step), tuple(wrt)), state[0][1]
                interval = AdjointInterval(chart, t, s, interval and interval.t0, index=step, totals=totals)
                (x, a), *history = self.rule.step(adjoint, state, interval)
                arrivals.cross(interval, before, a)
                if k:  # a time of the sampler's grid; at the noisy end no state is needed
                    x = trajectory.at(k, (x,))[0]
                if k is not None:
                    arrivals.add(k, a)
                state = ((x, a), *history)
        assert interval is not None
        return self.rule.finish(adjoint, state, interval)[1], totals.values


def backward_grid(grid: Sequence[float], steps: int) -> list[tuple[float, int | None]]:
    """M + 1 times from the clean end to the noisy end, each with its index on the sampler's grid, if it has one.

    M <= N: the times with indices round(j N / M). M > N: those at fractional indices j N / M, interpolated linearly.
    """
    n, places = len(grid) - 1, list[tuple[float, int | None]]()
    for j in range(steps, -1, -1):
        if steps <= n or j * n % steps == 0:
            k = round(j * n / steps)
            places.append((grid[k], k))
        else:
            k = j * n // steps
            places.append((grid[k] + (j * n / steps - k) * (grid[k + 1] - grid[k]), None))
    return places


Pair = tuple[Tensor, Tensor]  # a point of the adjoint system: x, and a = dL/dx


@dataclass(frozen=True)
class AdjointField:
    """Slopes of the adjoint system at (x, a), a = dL/dx: those of x, of a_y = kappa a and of the shared gradients.

    One evaluation of the field gives F; one pullback of -a_y through it gives -(dF/dy)^T a_y and -(dF/dp)^T a_y.
    """

    field: ChartField | SteeredField
    wrt: tuple[Tensor, ...]

    def __call__(self, t: float, point: Pair) -> tuple[Tensor | None, ...]:
        kappa = self.field.chart.kappa(t)
        with torch.enable_grad():
            x = point[0].detach().requires_grad_()
            slope = self.field(t, x)
        grads = torch.autograd.grad(slope, (x, *self.wrt), -kappa * point[1], allow_unused=True)
        grad_x = torch.zeros_like(x) if grads[0] is None else grads[0]
        return slope.detach(), kappa * grad_x, *grads[1:]


@dataclass(frozen=True)
class AdjointInterval(Interval):
    """The chart's arithmetic for (x, a): x scales with kappa, a with 1/kappa, and the shared gradients not at all.

    The shared gradients are pure quadratures: no field reads them, so each step adds its contribution to the totals in
    place, and no stage holds them.
    """

    totals: Totals | None = None

    def carry(self, point: Pair, c: float = 1.0) -> Pair:
        x, a = point
        ratio = 1.0 if c == 0.0 else self.ratio(c)
        return x * ratio, a / ratio

    def add(self, point: Pair, weight: float, slope: Any, c: float = 1.0) -> Pair:
        (x, a), (slope_x, slope_a, *shared) = point, slope
        if self.totals is not None:
            self.totals.add(shared, self.h * weight)
        kappa = self.chart.kappa(self.time(c))
        return (
            torch.add(x, slope_x, alpha=self.increment(c) * weight),
            torch.add(a, slope_a, alpha=self.h / kappa * weight),
        )

    def recall(self, slope: Any) -> Any:
        return slope[:2]

    def part(self, c0: float, c1: float) -> "AdjointInterval":
        own = None if self.totals is None else Totals(self.totals.wrt)
        return replace(self, t0=self.time(c0), t1=self.time(c1), totals=own)

    def accept(self, part: Interval) -> None:
        if isinstance(part, AdjointInterval) and self.totals is not None and part.totals is not None:
            self.totals.add(part.totals.values)


@dataclass(frozen=True)
class StateByEuler(Rule):
    """An adjoint rule whose state takes an Euler step with the slope from the adjoint's own evaluation.

    base: a rule with one evaluation per step and the history (slope,).
    """

    base: TwoStep
    order = 1
    stages = 1

    def step(self, field: Field, state: tuple[Any, ...], interval: Interval) -> tuple[Any, ...]:
        (_, a), slope = self.base.step(field, state, interval)
        x = torch.add(interval.carry(state[0])[0], slope[0], alpha=interval.increment())
        return (x, a), slope
