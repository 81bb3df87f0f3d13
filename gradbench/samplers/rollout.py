"""The chain x_T -> x_0 of a denoiser, chart, rule, grid and noises, as pure maps: start, step and finish."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from gradbench.diffusion.chart import Chart
from gradbench.diffusion.denoiser import Denoiser
from gradbench.diffusion.grid import Grid, end_of
from gradbench.diffusion.noise import Noise
from gradbench.diffusion.schedule import Schedule
from gradbench.samplers.base import ChartField, Interval, Rule, State

HISTORY = 4  # starts of earlier intervals that an interval knows


@dataclass(frozen=True)
class Rollout:
    """N steps over `grid` (N + 1 decreasing times). It holds no state, so that steps can be recomputed in any order."""

    denoiser: Denoiser
    chart: Chart
    rule: Rule
    grid: Grid
    noise: Noise | None = None

    @property
    def steps(self) -> int:
        """N, the number of steps."""
        return len(self.grid) - 1

    @property
    def schedule(self) -> Schedule:
        """The denoiser's schedule."""
        return self.denoiser.schedule

    @cached_property
    def field(self) -> ChartField:
        """The field of the chart."""
        return ChartField(self.denoiser, self.chart)

    def interval(self, k: int) -> Interval:
        """The interval of step k, 0 <= k < N, from grid[k] to grid[k + 1], or to the `end` that a `Stop` sets."""
        before, end = self.grid[k - 1] if k else None, end_of(self.grid, k)
        noise = self.noise(k) if self.noise is not None else None
        closed = not self.denoiser.clean and self.denoiser.schedule.sigma(end) <= 0
        most, stage = (getattr(self.grid[k], name, None) for name in ("most_order", "stage"))
        earlier = tuple(reversed(self.grid[max(0, k - HISTORY) : max(0, k - 1)]))
        return Interval(self.chart, self.grid[k], end, before, noise, k, closed, most, earlier, self.steps - k, stage)

    def start(self, x_T: Tensor) -> State:
        """The state at grid[0] from x_T (b, *x), which is used as given, without scaling."""
        return self.rule.start(self.field, x_T)

    def step(self, k: int, state: State) -> State:
        """The state at grid[k + 1] from that at grid[k]."""
        return self.rule.step(self.field, state, self.interval(k))

    def finish(self, state: State) -> Tensor:
        """The sample x_0 (b, *x): the state at grid[N], without a final denoising step."""
        return self.rule.finish(self.field, state, self.interval(self.steps - 1))

    def sample(self, x_T: Tensor) -> Tensor:
        """x_0 (b, *x) from x_T (b, *x) by a plain loop, recorded on the tape if there is one."""
        state = self.start(x_T)
        for k in range(self.steps):
            state = self.step(k, state)
        return self.finish(state)
