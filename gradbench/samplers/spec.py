"""A sampler with all its parameters, and the chain built from it; torch is imported only when one is built."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.chart import refuses
from gradbench.diffusion.grid import Grid, TimeRange, check_grid, make_grid, range_of
from gradbench.diffusion.schedule import Ends, Schedule
from gradbench.diffusion.sde_chart import SDE_CHARTS, make_chart
from gradbench.samplers.catalogue import LATER, SAMPLERS
from gradbench.samplers.entry import SamplerEntry
from gradbench.samplers.traits import SamplerTraits
from gradbench.selector import Options, parse

if TYPE_CHECKING:
    from torch import Tensor

    from gradbench.diffusion.denoiser import Denoiser
    from gradbench.diffusion.noise import Noise
    from gradbench.samplers.base import Rule
    from gradbench.samplers.rollout import Rollout
    from gradbench.samplers.steered import Steering

NOISES = ("keyed", "nested")


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler with all its parameters: a cell stores it, and a rollout is built from it."""

    name: str
    params: Options

    @property
    def entry(self) -> SamplerEntry:
        """Its catalogue entry, or that of user-defined code."""
        return SAMPLERS.find(self.name)

    @property
    def chart(self) -> str:
        """The name of the chart in which it steps."""
        return self.params.get("chart") or self.entry.traits.chart or ""

    def chart_between(self, ends: Ends) -> str:
        """The chart for a range: from alpha = 0, DDIM takes Euler's step in the data chart, which is the same map."""
        return self.entry.traits.chart_at_zero or self.chart if ends.alpha_T <= 0 else self.chart

    @property
    def traits(self) -> SamplerTraits:
        """The traits for an estimator: those of the entry, the chart, the grid, and whether noise is drawn."""
        known = self.entry.declared(self.params)
        noisy = known.stochastic or self.chart in SDE_CHARTS
        return replace(
            known,
            chart=self.chart,
            grid=self.params["grid"],
            pair=self.params.get("copies") == "both",
            stochastic=noisy,
            reverse_sde=noisy and known.reverse_sde,
        )

    @property
    def rule(self) -> "Rule":
        """Its rule: that of the entry, or made by the entry's factory from the options."""
        made = self.entry.load()
        said = {**self.entry.defaults, **self.params}
        options = {key: value for key, value in said.items() if key not in ("chart", "grid")}
        return made(**options) if options else made

    def refuses(self, where: TimeRange) -> str | None:
        """Why this sampler cannot run over a time range, or None."""
        known = self.entry.traits
        if (known.history or known.reversible) and not where.tiled:
            return (
                "this scheduler's steps do not end where the next ones begin, and a rule that looks back cannot follow "
                "them: use a one-step sampler, such as ddim, or timestep_spacing and steps that divide the table"
            )
        return refuses(self.chart_between(where), where) or self.entry.refuses(self.params, where)

    def _noise(self, noise: "Tensor | str", seed: int, x_T: "Tensor", schedule: Schedule, grid: Grid) -> "Noise":
        """The step noises: drawn by key, taken from a Wiener path shared with other chains, or as given."""
        import torch

        from gradbench.diffusion.noise import KeyedNoise, RecordedNoise
        from gradbench.diffusion.wiener import step_normals

        if isinstance(noise, torch.Tensor):
            return RecordedNoise(noise.to(x_T.device, x_T.dtype))
        if noise == "keyed":
            return KeyedNoise(seed, tuple(x_T.shape), x_T.dtype, x_T.device)
        rows = step_normals(SDE_CHARTS[self.sde_chart](schedule), grid, seed, tuple(x_T.shape))
        return RecordedNoise(torch.from_numpy(rows).to(x_T.device, x_T.dtype))

    @property
    def sde_chart(self) -> str:
        """The SDE chart whose measure turns a Wiener path into step noises: its own, else data-sde, that of ddpm."""
        return self.chart if self.chart in SDE_CHARTS else "data-sde"

    def rollout(
        self,
        denoiser: "Denoiser",
        steps: int,
        t_max: float,
        t_min: float,
        x_T: "Tensor",
        seed: int,
        noise: "Tensor | str",
        times: Sequence[float] | None = None,
        steering: "Steering | None" = None,
    ) -> "Rollout":
        """The chain from x_T (b, *x) in `steps` steps from t_max to t_min, or over `times` if given. noise: `keyed`,
        `nested` or (steps, b, *x). steering: what is added to its steps. Raises `ValueError` if the sampler cannot run
        there or the noise is invalid.
        """
        import torch

        from gradbench.samplers.rollout import Rollout
        from gradbench.samplers.steered import steered

        schedule = denoiser.schedule
        if times is None:
            grid = make_grid(self.params["grid"], schedule, steps, t_max, t_min)
        else:
            grid = check_grid(times, schedule)
        where = range_of(schedule, grid)
        reason = self.refuses(where)
        if reason:
            raise UsageError(f"sampler {self.name}: {reason}")
        kind = getattr(denoiser, "kind", None)
        if kind in ("eps", "score") and where.alpha_T <= 0:
            raise UsageError(
                f"a network that predicts {kind} has no x_0 at alpha = 0, the noisy end (zero terminal SNR): allowed "
                "there are v, x0 and flow, or a chain that begins below"
            )
        if not isinstance(noise, str | torch.Tensor):
            raise UsageError(
                f"noise must be 'keyed', 'nested' or a tensor (steps, b, *x), got {type(noise).__name__}: give "
                "torch.stack(noises), or leave it out"
            )
        if isinstance(noise, str):
            checks.one_of("noise", noise, NOISES)
            if noise == "nested" and not where.tiled:
                raise UsageError("noise must be 'keyed' on a grid whose steps do not tile the range, got 'nested'")
        else:
            checks.shape("noise", noise.shape, (len(grid) - 1, *x_T.shape))
        path = self._noise(noise, seed, x_T, schedule, grid) if self.traits.stochastic else None
        rule = steered(self.rule, steering)
        return Rollout(denoiser, make_chart(self.chart_between(where), schedule), rule, grid, path)


def sampler_spec(selector: str, default_grid: str = "uniform-t") -> SamplerSpec:
    """The sampler of a selector such as `rk4[chart=noise,grid=uniform-log-snr]`, with its defaults filled in."""
    name, given = parse(selector)
    params = SAMPLERS.find(name).options(given)
    params = {**params, "grid": params["grid"] or default_grid}
    return SamplerSpec(name, {key: value for key, value in params.items() if LATER.get(key) != value})
