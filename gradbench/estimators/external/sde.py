"""torchsde's adjoint, through its public API: a baseline for comparison, not a building block."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.diffusion.noise import Noise
from gradbench.diffusion.schedule import Schedule
from gradbench.diffusion.sde_chart import SDEChart, make_chart
from gradbench.estimators.external.solve import solved
from gradbench.estimators.external.solvers import PAIRS, refuse_torchsde
from gradbench.estimators.leaves import Guard, Leaves, Reach
from gradbench.estimators.pathwise.pathwise import Differentiable
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import ChartField
from gradbench.samplers.rollout import Rollout


@dataclass(frozen=True)
class TorchsdeAdjoint(Differentiable):
    """torchsde's `sdeint_adjoint` for the reverse SDE, dy = F tau'(t) dt + (g / kappa) dW, with the sampler's noise.

    Its clock is s in [0, N], one unit per step; t or log-SNR is linear in s, whichever the grid is uniform in. The
    noise of step k is W(k + 1) - W(k). method: `reversible_heun` with its own adjoint gives the exact gradient of its
    own chain; `midpoint` (Stratonovich), `euler` and `milstein` (Ito) solve a continuous adjoint. chart: fixes kappa
    and F; `time` is the form used in papers, and with `euler` on a uniform-t grid it gives the chain of
    `euler-maruyama`. Evaluations are counted as torchsde makes them, including those of its checks.

    References: Kidger et al., 2021, arXiv:2105.13493; Li et al., 2020, arXiv:2001.01328.
    """

    method: str
    chart: str

    def refuses(self, traits: ProblemTraits) -> str | None:
        return refuse_torchsde(self.chart, traits)

    def sample(self, rollout: Rollout, x_T: Tensor, wrt: Sequence[Tensor]) -> Tensor:
        from torchsde import sdeint_adjoint

        assert rollout.noise is not None
        chart = make_chart(f"{self.chart}-sde", rollout.denoiser.schedule)
        assert isinstance(chart, SDEChart)
        kind, adjoint = PAIRS[self.method]
        leaves = Leaves.of(wrt)
        reach = Reach(leaves)
        equation = _ReverseSDE(
            ChartField(rollout.denoiser, chart), chart, _Clock(rollout), tuple(x_T.shape), kind, reach
        )
        ends = torch.tensor([0.0, float(rollout.steps)], dtype=x_T.dtype, device=x_T.device)
        path = _path(rollout.noise, x_T.flatten(1))

        def solve(x_T: Tensor) -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                solution = sdeint_adjoint(
                    equation,
                    (x_T / chart.kappa(rollout.grid[0])).flatten(1),
                    ends,
                    bm=path,
                    method=self.method,
                    adjoint_method=adjoint,
                    dt=1.0,
                    adjoint_params=tuple(leaves),
                )
            assert isinstance(solution, Tensor)
            return (solution[-1] * chart.kappa(rollout.grid[-1])).reshape(x_T.shape)

        return solved(solve, rollout.denoiser, x_T, reach)


class _Clock:
    """t(s) and dt/ds for s in [0, N]; t or log-SNR is linear in s, whichever the grid is uniform in."""

    def __init__(self, rollout: Rollout) -> None:
        grid, self.steps = rollout.grid, rollout.steps
        self.schedule: Schedule = rollout.denoiser.schedule
        self.first, self.last = grid[0], grid[-1]
        middle = grid[self.steps // 2]
        self.in_t = abs(middle - (grid[0] + (grid[-1] - grid[0]) * (self.steps // 2) / self.steps)) < 1e-9

    def __call__(self, s: float) -> tuple[float, float]:
        if self.in_t:
            pace = (self.last - self.first) / self.steps
            return min(max(self.first + pace * s, self.last), self.first), pace
        first, last = self.schedule.log_snr(self.first), self.schedule.log_snr(self.last)
        t = self.schedule.t_of_log_snr(first + (last - first) * s / self.steps)
        t = min(max(t, self.last), self.first)
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        slope = self.schedule.dalpha(t) / alpha - self.schedule.dsigma(t) / sigma  # d log-SNR / dt
        return t, (last - first) / self.steps / slope


class _ReverseSDE(torch.nn.Module):
    """Drift f and diffusion g for torchsde, of y (b, d), with diagonal noise and clock s."""

    noise_type = "diagonal"

    def __init__(
        self, field: ChartField, chart: SDEChart, clock: _Clock, shape: tuple[int, ...], kind: str, reach: Reach
    ) -> None:
        super().__init__()
        self._reach, self._guard = reach, Guard(reach.leaves, field.denoiser)
        self._field, self._chart, self._clock, self._shape, self.sde_type = field, chart, clock, shape, kind

    def f(self, s: Tensor, y: Tensor) -> Tensor:
        t, pace = self._clock(float(s))
        kappa = self._chart.kappa(t)
        x = (y * kappa).reshape(self._shape)
        with self._field.denoiser.watches.by(self._guard):
            value = self._field(t, x)
        self._reach.see(value)
        return value.flatten(1) * (self._chart.pace(t) / kappa**2 * pace)

    def g(self, s: Tensor, y: Tensor) -> Tensor:
        t, pace = self._clock(float(s))
        return torch.full_like(y, self._chart.diffusion(t) * abs(pace) ** 0.5)


def _path(noise: Noise, start: Tensor) -> Any:
    """The sampler's noise as a Brownian motion for torchsde: the increment over [k, k + 1] is the noise of step k."""
    from torchsde import BaseBrownian

    class Path(BaseBrownian):
        shape = tuple(start.shape)  # type: ignore[assignment]
        dtype, device = start.dtype, start.device  # type: ignore[assignment]
        levy_area_approximation = "none"  # type: ignore[assignment]

        def __call__(self, ta: Any, tb: Any = None, return_U: bool = False, return_A: bool = False) -> Tensor:
            k = round(float(ta))
            if tb is None or abs(float(ta) - k) > 1e-6 or abs(float(tb) - k - 1) > 1e-6 or return_U or return_A:
                raise UsageError(f"the path has increments of whole steps only, got [{float(ta)}, {tb}]")
            return noise(k).flatten(1)

        def __repr__(self) -> str:
            return "Path of the sampler's noises"

    return Path()
