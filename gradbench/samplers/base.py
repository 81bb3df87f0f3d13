"""The contract of a rule: one pure step of a solver, which knows nothing of gradients, grids, counters or seeds.

A rule moves a point x from grid[k] to grid[k + 1]. It evaluates a field for slopes F and leaves the chart's arithmetic
to the interval: `carry` rescales a point to x kappa_c / kappa_0, and `add` adds kappa_c h w F to it, where
h = tau_1 - tau_0 and c in [0, 1] is the node of a stage. The same rule therefore solves the sampling ODE, whose point
is a tensor, and the adjoint ODE, whose point is a pair. No torch: a rule is data until it takes a step.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradbench.checks import UsageError
from gradbench.diffusion.chart import Chart

if TYPE_CHECKING:
    from torch import Tensor

    from gradbench.diffusion.denoiser import Denoiser

Point = Any  # a tensor (b, *x), or a pair of them in an adjoint equation
State = tuple["Tensor", ...]  # the point on the path, then the rule's history or coupled copies
Field = Callable[[float, Point], Any]  # (t, point) -> slope d(point)/dtau


@dataclass(frozen=True)
class Interval:
    """The time interval of one step in a chart, as Python floats, with the step's noise if the rule is stochastic.

    t0, t1: its start and its end. t_before: the start of the previous interval, or None in the first; earlier: the
    starts of those before it, the latest first. noise: standard normal, (b, *x). index: the number k of the step in the
    chain, for rules that alternate from step to step. left: the number of steps to the end, this one included, or None
    if unknown. closed: the field is undefined at t1, as that of a network is at sigma = 0. most_order: the highest
    order that a scheduler's multistep solver has for this step, or None for its own. stage: what a scheduler tells the
    network as the time of a stage in the middle.
    """

    chart: Chart
    t0: float
    t1: float
    t_before: float | None = None
    noise: "Tensor | None" = None
    index: int = 0
    closed: bool = False
    most_order: int | None = None
    earlier: tuple[float, ...] = ()
    left: int | None = None
    stage: float | None = None

    @property
    def past(self) -> tuple[float, ...]:
        """The starts of the intervals before this one, the latest first, as far as they are kept."""
        return () if self.t_before is None else (self.t_before, *self.earlier)

    @property
    def before(self) -> "Interval":
        """The previous interval, from t_before to t0; `ValueError` in the first."""
        if self.t_before is None:
            raise UsageError("the first interval has none before it: a rule with history starts with a step of its own")
        return Interval(self.chart, self.t_before, self.t0)

    @property
    def reversed(self) -> "Interval":
        """The same interval from t1 to t0, without noise."""
        return Interval(self.chart, self.t1, self.t0, index=self.index)

    def part(self, c0: float, c1: float) -> "Interval":
        """The interval from tau_0 + c0 h to tau_0 + c1 h, for a rule that takes several substeps per interval."""
        return replace(self, t0=self.time(c0), t1=self.time(c1))

    def accept(self, part: "Interval") -> None:
        """Called with each part whose substep is accepted; does nothing unless overridden."""

    @property
    def tau0(self) -> float:
        """tau(t0), the clock at the start."""
        return self.chart.tau(self.t0)

    @property
    def h(self) -> float:
        """tau(t1) - tau(t0)."""
        return self.chart.tau(self.t1) - self.tau0

    def time(self, c: float) -> float:
        """The time t at which tau(t) = tau_0 + c h exactly, not rounded to the grid."""
        if c in (0.0, 1.0):
            return self.t1 if c else self.t0
        return self.chart.t_of(self.tau0 + c * self.h)

    def ratio(self, c: float = 1.0) -> float:
        """kappa_c / kappa_0."""
        return self.chart.ratio(self.t0, self.time(c))

    def increment(self, c: float = 1.0) -> float:
        """kappa_c h."""
        return self.chart.increment(self.t0, self.t1) if c == 1.0 else self.chart.kappa(self.time(c)) * self.h

    def carry(self, point: Point, c: float = 1.0) -> Point:
        """point kappa_c / kappa_0: the point at node c if the field were zero."""
        ratio = 1.0 if c == 0.0 else self.ratio(c)
        return point if ratio == 1.0 else point * ratio

    def add(self, point: Point, weight: float, slope: Any, c: float = 1.0) -> Point:
        """point + kappa_c h weight slope."""
        return point.add(slope, alpha=self.increment(c) * weight)

    def recall(self, slope: Any) -> Any:
        """The part of a slope that later stages of the same step use."""
        return slope


class Rule(ABC):
    """One step of a solver, a pure function of field, state and interval.

    order: the formal order of accuracy. stages: field evaluations per step.
    """

    order: int
    stages: int

    def start(self, field: Field, x: Point) -> State:
        """The state at the noisy end, from x_T (b, *x)."""
        return (x,)

    @abstractmethod
    def step(self, field: Field, state: State, interval: Interval) -> State:
        """The state at the end of the interval from that at its start."""

    def finish(self, field: Field, state: State, interval: Interval) -> Point:
        """The sample, (b, *x), from the last state and the last interval."""
        return state[0]


class ReversibleRule(Rule):
    """A rule whose step can be undone in closed form: inverse(step(state)) == state up to rounding.

    The inverse evaluates the field at the same points as the step. If the step consists of several `parts`, the inverse
    undoes them in reverse order. A backward pass that undoes a step and then differentiates it therefore needs each
    evaluation only once.
    """

    parts: int = 1

    @abstractmethod
    def inverse(self, field: Field, state: State, interval: Interval) -> State:
        """The state at the start of the interval from that at its end."""


@dataclass(frozen=True)
class ChartField:
    """The field F of a chart: F(t, x) = w_x0(t) x0_hat(x, t) + w_eps(t) eps_hat(x, t), (b, *x)."""

    denoiser: "Denoiser"
    chart: Chart

    def __call__(self, t: float, x: "Tensor") -> "Tensor":
        return self.denoiser.field(x, t, self.chart.weights(t))
