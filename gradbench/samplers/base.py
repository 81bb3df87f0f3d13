"""The contract of a rule: one pure step of a solver, which knows nothing of gradients, grids, counters or seeds.

A rule moves a point x from grid[k] to grid[k + 1]. It asks a field for slopes F and lets the interval do the chart's
arithmetic: `carry` takes a point along with the scale, x kappa_c / kappa_0, and `add` adds kappa_c h w F to it, h being
tau_1 - tau_0 and c in [0, 1] the place of a stage. The same rule so solves the sampling ODE, whose point is a tensor,
and the adjoint ODE, whose point is a pair. No torch: a rule is data until its step is taken.
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

Point = Any  # a tensor (b, *x), or in an adjoint equation a pair of them
State = tuple["Tensor", ...]  # a point on the path first; then a rule's history or coupled copies
Field = Callable[[float, Point], Any]  # (t, point) -> slope d(point)/dtau


@dataclass(frozen=True)
class Interval:
    """One step's stretch of time in a chart: Python floats, and the step's noise where the rule is stochastic.

    t0, t1: its ends in the direction of travel. t_before: the start of the previous interval, or None in the first.
    noise: standard normal, (b, *x). index: the step's place k in the chain, for rules whose steps take turns. closed:
    the field has no value at t1, as a network has none at sigma = 0. first_order: a scheduler's own two-step solver
    takes this step by its first-order rule.
    """

    chart: Chart
    t0: float
    t1: float
    t_before: float | None = None
    noise: "Tensor | None" = None
    index: int = 0
    closed: bool = False
    first_order: bool = False

    @property
    def before(self) -> "Interval":
        """The previous interval, from t_before to t0."""
        if self.t_before is None:
            raise UsageError("the first interval has none before it: a rule with history starts with a step of its own")
        return Interval(self.chart, self.t_before, self.t0)

    @property
    def reversed(self) -> "Interval":
        """The same stretch from t1 to t0, without noise."""
        return Interval(self.chart, self.t1, self.t0)

    def part(self, c0: float, c1: float) -> "Interval":
        """The stretch from tau_0 + c0 h to tau_0 + c1 h, for a rule that takes several steps in one interval."""
        return replace(self, t0=self.time(c0), t1=self.time(c1))

    def accept(self, part: "Interval") -> None:
        """Said of a part whose step is kept."""

    @property
    def tau0(self) -> float:
        """The clock at the start."""
        return self.chart.tau(self.t0)

    @property
    def h(self) -> float:
        """tau(t1) - tau(t0)."""
        return self.chart.tau(self.t1) - self.tau0

    def time(self, c: float) -> float:
        """The time t with tau(t) = tau_0 + c h, exactly: no snapping to the grid."""
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
        """The point at stage c if the field were zero."""
        ratio = 1.0 if c == 0.0 else self.ratio(c)
        return point if ratio == 1.0 else point * ratio

    def add(self, point: Point, weight: float, slope: Any, c: float = 1.0) -> Point:
        """point + kappa_c h weight slope."""
        return point.add(slope, alpha=self.increment(c) * weight)

    def recall(self, slope: Any) -> Any:
        """What later stages of the same step need of a slope."""
        return slope


class Rule(ABC):
    """A solver's step as a pure function of (state, interval); `order` is formal, `stages` counts evaluations."""

    order: int
    stages: int

    def start(self, field: Field, x: Point) -> State:
        """The state at the noisy end, from x_T (b, *x)."""
        return (x,)

    @abstractmethod
    def step(self, field: Field, state: State, interval: Interval) -> State:
        """The state at the end of the interval."""

    def finish(self, field: Field, state: State, interval: Interval) -> Point:
        """The sample, (b, *x), from the last state and the last interval."""
        return state[0]


class ReversibleRule(Rule):
    """A rule whose step can be undone in closed form: inverse(step(state)) == state up to rounding.

    An inverse evaluates the field where the step did, at the same points; where the step does so in two parts, the
    inverse takes the parts in the opposite order. `parts` says how many there are: a backward pass that undoes a step
    and then differentiates it so needs each evaluation once.
    """

    parts: int = 1

    @abstractmethod
    def inverse(self, field: Field, state: State, interval: Interval) -> State:
        """The state at the start of the interval from that at its end."""


@dataclass(frozen=True)
class ChartField:
    """The field F of a chart: F(t, x) = w_x0(t) x0_hat(x, t) + w_eps(t) eps_hat(x, t)."""

    denoiser: "Denoiser"
    chart: Chart

    def __call__(self, t: float, x: "Tensor") -> "Tensor":
        return self.denoiser.field(x, t, self.chart.weights(t))
