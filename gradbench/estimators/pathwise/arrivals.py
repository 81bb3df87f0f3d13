"""What a continuous adjoint provides for single steps: a = dL/dx at the times of the grid, and the steering in time.

The gradient of a state, and of what is added to it, is a at its time; that of the noise z_k is std_k a(t_{k+1}); that
of what is added to the velocity or to eps over a step is an integral of a.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from gradbench.diffusion.chart import Chart
from gradbench.diffusion.noise import RecordedNoise
from gradbench.estimators.pathwise.totals import Totals
from gradbench.samplers.base import ChartField, Interval, Rule
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.steered import ADDED, Steered, Steering, gain
from gradbench.samplers.stochastic import StochasticRule


@dataclass(frozen=True)
class SteeredField:
    """A chart's field with the steering of step k, which no gradient reaches; see `Arrivals` for its gradient."""

    field: ChartField
    steering: Steering
    k: int

    @property
    def chart(self) -> Chart:
        """The chart of the field."""
        return self.field.chart

    def __call__(self, t: float, x: Tensor) -> Tensor:
        return self.steering.field(self.field, self.k, self.chart)(t, x)


def steered_fields(field: ChartField, rollout: Rollout) -> Callable[[int], ChartField | SteeredField]:
    """The field of every step k, as the chain is steered in it."""
    rule = rollout.rule
    if not isinstance(rule, Steered):
        return lambda k: field
    held = rule.steering.detached
    return lambda k: SteeredField(field, held, k)


class Arrivals:
    """Adds the gradients of single steps as a backward solve arrives at its times.

    What is added to a step's velocity or eps is constant over it, with gain w(t) in the chart's field, and has the
    gradient int kappa w a dtau over the step, here by the trapezoidal rule between the solve's times.
    """

    def __init__(self, rollout: Rollout, totals: Totals) -> None:
        rule: Rule = rollout.rule
        self.rollout, self.totals = rollout, totals
        self.places = {id(leaf): i for i, leaf in enumerate(totals.wrt)}
        self.steering = rule.steering if isinstance(rule, Steered) else Steering()
        noise, base = rollout.noise, rule.rule if isinstance(rule, Steered) else rule
        self.noises = list(noise.rows) if isinstance(noise, RecordedNoise) and noise.rows is not None else []
        self.rule = base if isinstance(base, StochasticRule) else None

    def add(self, k: int, a: Tensor) -> None:
        """a (b, *x) at the state with index k."""
        self._note(self.steering.row("state", k), a, 1.0)
        if k and self.rule is not None and k <= len(self.noises):
            self._note(self.noises[k - 1], a, self.rule.std(self.rollout.interval(k - 1)))

    def cross(self, interval: Interval, before: Tensor, after: Tensor) -> None:
        """a (b, *x) at both ends of a backward interval, which lies in one step of the chain."""
        chart, k = interval.chart, interval.index
        for kind in ADDED:
            row = self.steering.row(kind, k)
            for t, a in ((interval.t0, before), (interval.t1, after)) if row is not None else ():
                self._note(row, a, -0.5 * interval.h * chart.kappa(t) * gain(kind, chart, t))

    def _note(self, leaf: Tensor | None, a: Tensor, scale: float) -> None:
        place = None if leaf is None else self.places.get(id(leaf))
        if place is not None:
            grads: list[Tensor | None] = [None] * len(self.places)
            grads[place] = a
            self.totals.add(grads, scale)
