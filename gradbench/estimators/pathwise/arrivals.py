"""What a continuous adjoint provides for single steps: a = dL/dx at the times of the grid, and the steering in time.

The gradient of a state, and of what is added to it, is a at its time; that of the noise z_k is std_k a(t_{k+1}). What
is added to the velocity or to eps is constant over a step, and its gradient is the quadrature of the adjoint equation.
"""

from dataclasses import dataclass

from torch import Tensor

from gradbench.diffusion.chart import Chart
from gradbench.diffusion.grid import Grid
from gradbench.diffusion.noise import RecordedNoise
from gradbench.estimators.pathwise.totals import Totals
from gradbench.samplers.base import ChartField, Rule
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.steered import Steered, Steering
from gradbench.samplers.stochastic import StochasticRule


@dataclass(frozen=True)
class TimedField:
    """A chart's field with the steering of the step in which a time lies, grid[k] >= t > grid[k + 1]."""

    field: ChartField
    steering: Steering
    grid: Grid

    @property
    def chart(self) -> Chart:
        """The chart of the field."""
        return self.field.chart

    def __call__(self, t: float, x: Tensor) -> Tensor:
        k = max(0, min(sum(time >= t for time in self.grid), len(self.grid) - 1) - 1)
        return self.steering.field(self.field, k, self.chart)(t, x)


def steered_in_time(field: ChartField, rollout: Rollout) -> ChartField | TimedField:
    """The field as the chain is steered."""
    rule = rollout.rule
    return TimedField(field, rule.steering, rollout.grid) if isinstance(rule, Steered) else field


class Arrivals:
    """Adds the gradients of states and noises when a backward solve arrives at a time of the grid."""

    def __init__(self, rollout: Rollout, totals: Totals) -> None:
        rule: Rule = rollout.rule
        self.rollout, self.totals = rollout, totals
        self.places = {id(leaf): i for i, leaf in enumerate(totals.wrt)}
        self.states = rule.steering.state if isinstance(rule, Steered) else ()
        noise, base = rollout.noise, rule.rule if isinstance(rule, Steered) else rule
        self.noises = list(noise.rows) if isinstance(noise, RecordedNoise) and noise.rows is not None else []
        self.rule = base if isinstance(base, StochasticRule) else None

    def add(self, k: int, a: Tensor) -> None:
        """a (b, *x) at the state with index k."""
        if k < len(self.states):
            self._note(self.states[k], a, 1.0)
        if k and self.rule is not None and k <= len(self.noises):
            self._note(self.noises[k - 1], a, self.rule.std(self.rollout.interval(k - 1)))

    def _note(self, leaf: Tensor | None, a: Tensor, scale: float) -> None:
        place = None if leaf is None else self.places.get(id(leaf))
        if place is not None:
            grads: list[Tensor | None] = [None] * len(self.places)
            grads[place] = a
            self.totals.add(grads, scale)
