"""torchdiffeq's adjoint, through its public API: a baseline for comparison, not a building block."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradbench.diffusion.chart import Chart
from gradbench.diffusion.sde_chart import make_chart
from gradbench.estimators.external.solve import solved
from gradbench.estimators.external.solvers import FIXED, refuse_torchdiffeq
from gradbench.estimators.leaves import Guard, Leaves, Reach
from gradbench.estimators.pathwise.pathwise import Differentiable
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import ChartField, Rule
from gradbench.samplers.rollout import Rollout

METHODS: dict[Rule, str] = {rule: name for name, rule in FIXED.items()}


@dataclass(frozen=True)
class TorchdiffeqAdjoint(Differentiable):
    """torchdiffeq's `odeint_adjoint` for dy/dtau = F(tau, y), y = x/kappa, with tau from tau_0 to tau_N.

    method: a solver of torchdiffeq; None uses the sampler's own rule if torchdiffeq has it (its `rk4` is the 3/8 rule,
    so x_0 differs slightly). chart: None uses the sampler's. trajectory: `stored` passes all grid times, so all states
    are kept and restored; `resolved` passes only the two ends, the constant-memory solve of the paper. norm: the error
    norm of adaptive backward solves; `seminorm` omits the parameters (Kidger et al., 2021, arXiv:2009.09457), `rms` is
    torchdiffeq's default. torchdiffeq's `AssertionError` if an adaptive solver's step underflows.

    References: Chen et al., 2018, arXiv:1806.07366, algorithm 1.
    """

    method: str | None
    chart: str | None
    trajectory: str
    norm: str
    rtol: float
    atol: float

    def refuses(self, traits: ProblemTraits) -> str | None:
        return refuse_torchdiffeq(self.method, self.chart, traits)

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        from torchdiffeq import odeint_adjoint

        grid, leaves = rollout.grid, Leaves.of(wrt)
        reach = Reach(leaves)
        chart = make_chart(self.chart, rollout.denoiser.schedule) if self.chart else rollout.chart
        method = self.method or METHODS[rollout.rule]
        clock = torch.tensor([chart.tau(t) for t in grid], dtype=torch.float64, device=x_T.device)
        forward = {}
        backward = {"norm": "seminorm"} if method not in FIXED and self.norm == "seminorm" else {}
        if method in FIXED and self.trajectory == "resolved":
            # torchdiffeq negates a decreasing clock, and its adjoint then traverses the negated clock from end to start
            negated = -clock if clock[0] > clock[-1] else clock
            forward, backward = ({"grid_constructor": _nodes(times)} for times in (clock, negated.flip(0)))
        field = _Field(ChartField(rollout.denoiser, chart), grid[0], grid[-1], reach)

        def solve(x_T: Tensor) -> Tensor:
            solution: Tensor = odeint_adjoint(  # type: ignore[assignment]
                field,
                x_T / chart.kappa(grid[0]),
                clock if self.trajectory == "stored" else clock[[0, -1]],
                rtol=self.rtol,
                atol=self.atol,
                method=method,
                options=forward,
                adjoint_params=tuple(leaves),
                adjoint_options=backward,
            )
            return solution[-1] * chart.kappa(grid[-1])

        return solved(solve, rollout.denoiser, x_T, reach)


def _nodes(clock: Tensor) -> Any:
    """A grid constructor that returns the given times in the dtype that torchdiffeq requests."""
    return lambda func, y0, t: torch.cat([t[:1], clock[1:-1].to(t), t[-1:]])


class _Field(torch.nn.Module):
    """F(tau, y) for torchdiffeq; adaptive solvers step past the ends, so the clock is clamped to the range."""

    def __init__(self, field: ChartField, t_max: float, t_min: float, reach: Reach) -> None:
        super().__init__()
        self._reach, self._guard = reach, Guard(reach.leaves, field.denoiser)
        self._field, self._range = field, sorted((field.chart.tau(t_min), field.chart.tau(t_max)))

    def forward(self, tau: Tensor, y: Tensor) -> Tensor:
        chart: Chart = self._field.chart
        t = chart.t_of(min(max(tau.item(), self._range[0]), self._range[1]))
        with self._field.denoiser.watches.by(self._guard):
            value = self._field(t, y * chart.kappa(t))
        self._reach.see(value)
        return value
