"""Adjoints of other libraries, through their public API: rows to compare with, not parts to build on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradbench import checks
from gradbench.diffusion.chart import CHARTS, Chart, make_chart
from gradbench.estimators.pathwise import RECOVERIES, Differentiable
from gradbench.samplers.base import ChartField
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.runge_kutta import EULER, HEUN, MIDPOINT, RK4

FIXED = ("euler", "midpoint", "heun2", "rk4")
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "adaptive_heun")


@dataclass(frozen=True)
class TorchdiffeqAdjoint(Differentiable):
    """torchdiffeq's `odeint_adjoint` of dy/dtau = F(tau, y), y = x/kappa, tau from tau_0 to tau_N.

    method: a solver of torchdiffeq; None takes the sampler's own rule where torchdiffeq has it (its `rk4` is the 3/8
    rule, so that x_0 differs a little). chart: None takes the sampler's. trajectory: `stored` passes every time of the
    grid, so that all states are kept and put back; `resolved` passes the two ends, the memory-free solve of the paper.
    The norm of adaptive backward solves leaves the parameters out (Kidger et al., 2021, arXiv:2009.09457).

    References: Chen et al., 2018, arXiv:1806.07366, algorithm 1.
    """

    method: str | None
    chart: str | None
    trajectory: str
    rtol: float
    atol: float

    def supports(self, traits: Mapping[str, Any]) -> str | None:
        if traits["stochastic"]:
            return "torchdiffeq solves ordinary differential equations: use an ODE sampler"
        if self.method is None and traits.get("multistep"):
            return f"torchdiffeq has no variable-step multistep method: name one of {', '.join(FIXED + ADAPTIVE)}"
        return None

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        from torchdiffeq import odeint_adjoint

        grid = rollout.grid
        chart = make_chart(self.chart, rollout.denoiser.schedule) if self.chart else rollout.chart
        method = self.method or {EULER: "euler", MIDPOINT: "midpoint", HEUN: "heun2", RK4: "rk4"}[rollout.rule]  # type: ignore[index]
        clock = torch.tensor([chart.tau(t) for t in grid], dtype=torch.float64, device=x_T.device)
        fixed = method in FIXED

        def nodes(func: Any, y0: Tensor, t: Tensor) -> Tensor:
            """The sampler's grid, in the direction of travel."""
            return clock if (t[-1] - t[0]) * (clock[-1] - clock[0]) > 0 else clock.flip(0)

        options = {"grid_constructor": nodes} if fixed and self.trajectory == "resolved" else {}
        solution = odeint_adjoint(
            _Field(ChartField(rollout.denoiser, chart), grid[0], grid[-1]),
            x_T / chart.kappa(grid[0]),
            clock if self.trajectory == "stored" else clock[[0, -1]],
            rtol=self.rtol,
            atol=self.atol,
            method=method,
            options=dict(options),
            adjoint_params=tuple(wrt),
            adjoint_options={**options, **({} if fixed else {"norm": "seminorm"})},
        )
        return solution[-1] * chart.kappa(grid[-1])


class _Field(torch.nn.Module):
    """F(tau, y) for torchdiffeq; adaptive solvers step past the ends, so the time is held inside the range."""

    def __init__(self, field: ChartField, t_max: float, t_min: float) -> None:
        super().__init__()
        self._field, self._range = field, (t_min, t_max)

    def forward(self, tau: Tensor, y: Tensor) -> Tensor:
        chart: Chart = self._field.chart
        t = min(max(chart.t_of(tau.item()), self._range[0]), self._range[1])
        return self._field(t, y * chart.kappa(t))


def torchdiffeq_adjoint(
    method: str | None, chart: str | None, trajectory: str, rtol: float, atol: float
) -> TorchdiffeqAdjoint:
    """The adjoint of torchdiffeq; `ValueError` for a method, chart or trajectory that it does not have."""
    if method is not None:
        checks.one_of("method", method, FIXED + ADAPTIVE)
    if chart is not None:
        checks.one_of("chart", chart, CHARTS)
    checks.one_of("trajectory", trajectory, RECOVERIES)
    for name, value in (("rtol", rtol), ("atol", atol)):
        checks.in_range(name, value, 1e-16, 1.0)
    return TorchdiffeqAdjoint(method, chart, trajectory, rtol, atol)
