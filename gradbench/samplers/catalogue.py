"""The samplers by name, as plain data; no import of torch until one is built.

A sampler is a chart, a rule and a grid. `chart` and `grid` are its parameters; a grid of None means the case's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradbench import checks
from gradbench.diffusion.chart import CHARTS, make_chart, refuses
from gradbench.diffusion.grid import GRIDS, make_grid
from gradbench.diffusion.schedule import Schedule
from gradbench.entry import Catalogue, Entry
from gradbench.selector import parse

if TYPE_CHECKING:
    from torch import Tensor

    from gradbench.diffusion.denoiser import Denoiser
    from gradbench.samplers.rollout import Rollout

_TEXTBOOK = "Hairer, Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, chapter II"


def _check(options: dict[str, Any]) -> None:
    if "chart" in options:
        checks.one_of("chart", options["chart"], CHARTS)
    if options["grid"] is not None:
        checks.one_of("grid", options["grid"], GRIDS)


def _runge_kutta(name: str, summary: str, factory: str, citation: str, order: int, stages: int, **chart: str) -> Entry:
    """`chart=` is a default that a selector may change; `only=` the chart that makes the sampler what it is."""
    return Entry(
        name,
        summary,
        f"gradbench.samplers.runge_kutta:{factory}",
        citation,
        defaults={**({"chart": chart["chart"]} if "chart" in chart else {}), "grid": None},
        traits={"stochastic": False, "order": order, "stages": stages, "chart": chart.get("only")},
        check=_check,
    )


SAMPLERS = Catalogue(
    "sampler",
    _runge_kutta(
        "ddim",
        "Euler's rule in the noise chart",
        "EULER",
        "Song, Meng and Ermon, 2021, arXiv:2010.02502, equation 12",
        1,
        1,
        only="noise",
    ),
    _runge_kutta(
        "euler",
        "Euler's rule in the time chart",
        "EULER",
        "Song et al., 2021, arXiv:2011.13456, equation 13",
        1,
        1,
        chart="time",
    ),
    _runge_kutta(
        "heun",
        "Heun's second-order rule (trapezoid), in any chart",
        "HEUN",
        "Karras et al., 2022, arXiv:2206.00364, algorithm 1",
        2,
        2,
        chart="noise",
    ),
    _runge_kutta(
        "midpoint",
        "the explicit midpoint rule, in any chart",
        "MIDPOINT",
        "Lu et al., 2022, arXiv:2206.00927, algorithm 1; " + _TEXTBOOK,
        2,
        2,
        chart="noise",
    ),
    _runge_kutta("rk4", "the classical fourth-order rule, in any chart", "RK4", _TEXTBOOK, 4, 4, chart="noise"),
    Entry(
        "ab2",
        "two-step Adams-Bashforth with variable steps, in any chart",
        "gradbench.samplers.multistep:AB2",
        "Zhang and Chen, 2023, DEIS, arXiv:2204.13902, section 3.4",
        defaults={"chart": "noise", "grid": None},
        traits={"stochastic": False, "order": 2, "stages": 1, "multistep": True},
        check=_check,
    ),
)


@dataclass(frozen=True)
class SamplerSpec:
    """A sampler with all its parameters said: what a cell stores and what a rollout is built from."""

    name: str
    params: Mapping[str, Any]

    @property
    def entry(self) -> Entry:
        """Its catalogue line."""
        return SAMPLERS[self.name]

    @property
    def chart(self) -> str:
        """The chart that it steps in."""
        return self.params.get("chart") or self.entry.traits["chart"]

    @property
    def traits(self) -> dict[str, Any]:
        """What an estimator is told of it: the catalogue's traits with the chart."""
        return {**self.entry.traits, "chart": self.chart}

    def refuses(self, schedule: Schedule, t_max: float, t_min: float) -> str | None:
        """Why this sampler cannot run over a time range of a schedule, or None."""
        return refuses(self.chart, schedule, t_max, t_min)

    def rollout(
        self, denoiser: "Denoiser", steps: int, t_max: float, t_min: float, x_T: "Tensor", seed: int, noise: Any
    ) -> "Rollout":
        """The chain of `steps` steps from t_max to t_min; `ValueError` where the chart has no value on the way."""
        from gradbench.diffusion.noise import make_noise
        from gradbench.samplers.rollout import Rollout

        schedule = denoiser.schedule
        grid = make_grid(self.params["grid"], schedule, steps, t_max, t_min)
        reason = self.refuses(schedule, grid[0], grid[-1])
        if reason:
            raise ValueError(f"sampler {self.name}: {reason}")
        rule = self.entry.load()
        path = make_noise(noise, seed, x_T, steps) if self.entry.traits["stochastic"] else None
        return Rollout(denoiser, make_chart(self.chart, schedule), rule, grid, path)


def sampler_spec(selector: str, default_grid: str = "uniform-t") -> SamplerSpec:
    """The sampler that a selector names, `rk4[chart=noise,grid=uniform-log-snr]`, with its defaults filled in."""
    name, given = parse(selector)
    params = SAMPLERS.find(name).options(given)
    if params["grid"] is None:
        params["grid"] = default_grid
    return SamplerSpec(name, params)
