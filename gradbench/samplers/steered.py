"""Chains that are steered: what is added to the states, the velocities or the noise predictions of their steps.

Everything that is added to a step gets its gradient from the cotangents lambda_k = dL/dx_k of one backward sweep. For a
one-step rule

    x_{k+1} = F_k(x_k + s_k) + B_k e_k + C_k u_k + std_k z_k

they are lambda_k for s_k (and for the state itself), B_k lambda_{k+1} for e_k, added to eps_hat, C_k lambda_{k+1} for
u_k, added to the velocity dx/dt, and std_k lambda_{k+1} for the noise z_k. B_k and C_k are what the step makes of the
chart's field, to which `gain` adds; for Euler's rule in t, C_k is the step h_k itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradbench.checks import UsageError
from gradbench.samplers.base import Field, Interval, Point, ReversibleRule, Rule, State

if TYPE_CHECKING:
    from torch import Tensor

    from gradbench.diffusion.chart import Chart

KINDS = ("velocity", "state", "eps")
ADDED = ("velocity", "eps")  # to the field of a step
Rows = Sequence["Tensor | None"]  # one per step, (b, *x), None for nothing


@dataclass(frozen=True)
class Steering:
    """state: s_k, added to x_k before step k; row N, if there is one, to the sample. velocity: u_k. eps: e_k."""

    state: Rows = ()
    velocity: Rows = ()
    eps: Rows = ()

    def row(self, kind: str, k: int) -> "Tensor | None":
        """The row of step k, or None."""
        rows: Rows = getattr(self, kind)
        return rows[k] if k < len(rows) else None

    @property
    def detached(self) -> "Steering":
        """The same, of which nothing is differentiated."""

        def held(rows: Rows) -> Rows:
            return [None if row is None else row.detach() for row in rows]

        return Steering(held(self.state), held(self.velocity), held(self.eps))

    def moved(self, k: int, state: State, sign: float = 1.0) -> State:
        """The state with s_k added to its point, or subtracted again."""
        row = self.row("state", k)
        return state if row is None else (state[0] + sign * row, *state[1:])

    def field(self, field: Field, k: int, chart: "Chart") -> Field:
        """The chart's field in step k, with u_k and e_k."""
        added = [(kind, row) for kind in ADDED if (row := self.row(kind, k)) is not None]
        if not added:
            return field

        def steered(t: float, x: Point) -> Point:
            value = field(t, x)
            for kind, row in added:
                value = value + gain(kind, chart, t) * row
            return value

        return steered


def gain(kind: str, chart: "Chart", t: float) -> float:
    """What the chart's field F gains by a unit of velocity, 1 / (kappa tau'), or of eps, w_eps - w_x0 sigma / alpha."""
    if kind == "velocity":
        return chart.kappa(t) / chart.pace(t)
    w_x0, w_eps = chart.weights(t)
    alpha, sigma = chart.schedule.alpha(t), chart.schedule.sigma(t)
    if w_x0 and alpha == 0:
        raise UsageError("eps does not determine x_0 at alpha = 0, the noisy end: control the velocity")
    return w_eps - (w_x0 * sigma / alpha if w_x0 else 0.0)


@dataclass(frozen=True)
class Steered(Rule):
    """A rule whose steps are steered; the index of the interval says which step it is."""

    rule: Rule
    steering: Steering

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.rule.order

    @property
    def stages(self) -> int:  # type: ignore[override]
        return self.rule.stages

    def start(self, field: Field, x: Point) -> State:
        return self.rule.start(field, x)

    def step(self, field: Field, state: State, interval: Interval) -> State:
        k = interval.index
        steered = self.steering.field(field, k, interval.chart)
        if interval.t1 > interval.t0:  # a step back
            return self.steering.moved(k, self.rule.step(steered, state, interval), -1.0)
        return self.rule.step(steered, self.steering.moved(k, state), interval)

    def finish(self, field: Field, state: State, interval: Interval) -> Point:
        k = interval.index
        end = self.rule.finish(self.steering.field(field, k, interval.chart), state, interval)
        return self.steering.moved(k + 1, (end,))[0]


class SteeredReversible(Steered, ReversibleRule):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A reversible rule whose steps are steered."""

    @property
    def parts(self) -> int:  # type: ignore[override]
        assert isinstance(self.rule, ReversibleRule)
        return self.rule.parts

    def inverse(self, field: Field, state: State, interval: Interval) -> State:
        assert isinstance(self.rule, ReversibleRule)
        k = interval.index
        before = self.rule.inverse(self.steering.field(field, k, interval.chart), state, interval)
        return self.steering.moved(k, before, -1.0)


def steered(rule: Rule, steering: Steering | None) -> Rule:
    """The rule, steered if there is anything to add."""
    if steering is None:
        return rule
    return (SteeredReversible if isinstance(rule, ReversibleRule) else Steered)(rule, steering)
