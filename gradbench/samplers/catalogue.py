"""Samplers by name, as plain data; torch is imported only when one is built.

A sampler is a chart, a rule and a grid. Its parameters include `chart` and `grid`; grid=None takes that of the case.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradbench import checks
from gradbench.diffusion.chart import CHARTS
from gradbench.diffusion.grid import GRIDS, TimeRange
from gradbench.diffusion.sde_chart import SDE_CHARTS
from gradbench.entry import Catalogue, Entry
from gradbench.samplers import runge_kutta
from gradbench.samplers.multistep import SOLVERS
from gradbench.samplers.rules import ONE_STEP
from gradbench.samplers.runge_kutta import RungeKutta
from gradbench.samplers.traits import SamplerTraits
from gradbench.selector import Options

_TEXTBOOK = "Hairer, Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, chapter II"
Refuses = Callable[[Options, TimeRange], str | None]  # (options, range) -> the reason, or None
LATER = {"solver": "midpoint"}  # options absent from published rows: stored only if they differ


def _nowhere(options: Options, where: TimeRange) -> str | None:
    """Refuses nothing."""


@dataclass(frozen=True)
class SamplerEntry(Entry):
    """A catalogue entry of a sampler; its traits may be a mapping."""

    traits: SamplerTraits = field(default_factory=SamplerTraits)
    refuses: Refuses = _nowhere

    def __post_init__(self) -> None:
        object.__setattr__(self, "traits", SamplerTraits.of(self.name, self.traits))

    def declared(self, given: Options) -> SamplerTraits:
        """The traits under these options."""
        return self.traits.amended(self.declares(self.options(given)))


def check_grid(grid: Any) -> None:
    """None, for the case's own, or the name of a grid."""
    if grid is not None:
        checks.one_of("grid", grid, GRIDS)


def _check(options: Options) -> None:
    if "chart" in options:
        checks.one_of("chart", options["chart"], CHARTS)
    checks.in_range("eta", options.get("eta", 0.0), 0.0, 1.0)
    checks.in_range("gamma", options.get("gamma", 0.0), 0.0, 10.0)
    checks.in_range("a", options.get("a", 1.0), 1e-6, 10.0)
    checks.one_of("variance", options.get("variance", "small"), ("small", "large"))
    checks.one_of("solver", options.get("solver", "midpoint"), SOLVERS)
    checks.one_of("first", options.get("first", "released"), ("released", "next"))
    check_grid(options["grid"])


def _check_reversible(options: Options) -> None:
    for name in ("gamma", "p", "zeta"):
        if name in options:
            checks.in_range(name, options[name], 1e-6, 1.0)
    checks.one_of("turns", options.get("turns", "alternate"), ("alternate", "fixed"))
    checks.one_of("copies", options.get("copies", "one"), ("one", "both"))
    if "rule" in options:
        checks.one_of("rule", options["rule"], ONE_STEP)
        checks.one_of("chart", options["chart"], (*CHARTS, *SDE_CHARTS))
        check_grid(options["grid"])
    else:
        _check(options)


def _refuse_churn(options: Options, where: TimeRange) -> str | None:
    if where.schedule not in (None, "rectified"):
        return f"churn keeps the noise level of rectified flow: use schedule=rectified, got {where.schedule}"
    return None


def _policy(
    name: str,
    summary: str,
    factory: str,
    citation: str,
    chart: str = "time",
    refuses: Refuses = _nowhere,
    **options: Any,
) -> SamplerEntry:
    """A stochastic sampler of policy gradients: it shares no path with the reverse SDE."""
    return SamplerEntry(
        name,
        summary,
        f"gradbench.samplers.policy:{factory}",
        citation,
        defaults={**options, "grid": None},
        traits=SamplerTraits(stochastic=True, order=1, stages=1, chart=chart, reverse_sde=False).amended(
            {"chart_at_zero": "data"} if chart == "noise" else {}
        ),
        check=_check,
        refuses=refuses,
    )


def _refuse_rex(options: Options, where: TimeRange) -> str | None:
    if options["chart"] in ("data", "data-sde") and where.sigma_0 <= 0:
        return f"a reversible rule cannot step back from sigma = 0 in the {options['chart']} chart: raise t_min"
    return None


def _runge_kutta(name: str, summary: str, factory: str, citation: str, **chart: str) -> SamplerEntry:
    """`chart` is a default that a selector may change; `only` is a fixed chart, part of the sampler's definition."""
    rule: RungeKutta = getattr(runge_kutta, factory)
    return SamplerEntry(
        name,
        summary,
        f"gradbench.samplers.runge_kutta:{factory}",
        citation,
        defaults={**({"chart": chart["chart"]} if "chart" in chart else {}), "grid": None},
        traits=SamplerTraits(
            stochastic=False, order=rule.order, stages=rule.stages, chart=chart.get("only"), runge_kutta=True
        ),
        check=_check,
    )


def _dpm_sde(
    name: str, summary: str, factory: str, place: str, chart: str, solver: str | None = None, **traits: Any
) -> SamplerEntry:
    return SamplerEntry(
        name,
        summary,
        f"gradbench.samplers.stochastic:{factory}",
        f"Lu et al., 2022, arXiv:2211.01095, {place}",
        defaults={"grid": None} if solver is None else {"solver": solver, "grid": None},
        traits=SamplerTraits(stochastic=True, order=1, stages=1, chart=chart, **traits),
        check=_check,
    )


def _reversible(
    name: str,
    summary: str,
    factory: str,
    citation: str,
    order: int,
    stages: int = 1,
    refuses: Refuses = _nowhere,
    **defaults: Any,
) -> SamplerEntry:
    """A reversible sampler, in the noise chart unless `defaults` has another."""
    chart = {} if "chart" in defaults else {"chart": "noise"}
    return SamplerEntry(
        name,
        summary,
        f"gradbench.samplers.reversible:{factory}",
        citation,
        defaults={**defaults, "grid": None},
        traits=SamplerTraits(stochastic=False, order=order, stages=stages, reversible=True).amended(chart),
        check=_check_reversible,
        refuses=refuses,
    )


SAMPLERS = Catalogue(
    "sampler",
    SamplerEntry(
        "ddim",
        "Euler's rule in the noise chart; with eta > 0 its stochastic family",
        "gradbench.samplers.stochastic:ddim",
        "Song, Meng and Ermon, 2021, arXiv:2010.02502, equation 12",
        defaults={"eta": 0.0, "grid": None},
        traits=SamplerTraits(
            stochastic=False, order=1, stages=1, chart="noise", chart_at_zero="data", runge_kutta=True
        ),
        check=_check,
        # for 0 < eta < 1 the chain converges to an SDE with less noise than the reverse SDE
        declares=lambda options: SamplerTraits(stochastic=options["eta"] > 0, reverse_sde=options["eta"] == 1),
    ),
    _runge_kutta(
        "euler",
        "Euler's rule in the time chart",
        "EULER",
        "Song et al., 2021, arXiv:2011.13456, equation 13",
        chart="time",
    ),
    _runge_kutta(
        "heun",
        "Heun's second-order rule (trapezoid), in any chart",
        "HEUN",
        "Karras et al., 2022, arXiv:2206.00364, algorithm 1",
        chart="noise",
    ),
    _runge_kutta(
        "midpoint",
        "the explicit midpoint rule, in any chart",
        "MIDPOINT",
        "Lu et al., 2022, arXiv:2206.00927, algorithm 1; " + _TEXTBOOK,
        chart="noise",
    ),
    _runge_kutta("rk4", "the classical fourth-order rule, in any chart", "RK4", _TEXTBOOK, chart="noise"),
    SamplerEntry(
        "ab2",
        "two-step Adams-Bashforth with variable steps, in any chart",
        "gradbench.samplers.multistep:AB2",
        "Zhang and Chen, 2023, DEIS, arXiv:2204.13902, section 3.4",
        defaults={"chart": "noise", "grid": None},
        traits=SamplerTraits(stochastic=False, order=2, stages=1, history=True),
        check=_check,
    ),
    SamplerEntry(
        "dpm++2m",
        "the two-step rule in the data chart with its ratio in log-SNR",
        "gradbench.samplers.multistep:two_m",
        "Lu et al., 2022, arXiv:2211.01095, algorithm 2",
        defaults={"solver": "midpoint", "grid": None},
        traits=SamplerTraits(stochastic=False, order=2, stages=1, chart="data", history=True),
        check=_check,
    ),
    _runge_kutta(
        "flow-euler",
        "Euler's rule in the time chart, the sampler of rectified flow",
        "EULER",
        "Liu et al., 2023, arXiv:2209.03003, equation 1",
        only="time",
    ),
    SamplerEntry(
        "ddpm",
        "the ancestral chain: ddim with eta = 1; variance=large has the forward process's noise",
        "gradbench.samplers.stochastic:ddpm",
        "Ho, Jain and Abbeel, 2020, arXiv:2006.11239, equation 7",
        defaults={"variance": "small", "grid": None},
        traits=SamplerTraits(stochastic=True, order=1, stages=1, chart="noise", chart_at_zero="data"),
        check=_check,
    ),
    _dpm_sde("sde-dpm1", "Euler's rule on the reverse SDE in the noise chart", "EULER_SDE", "equation 17", "noise-sde"),
    _dpm_sde("sde-dpm++1", "Euler's rule on the reverse SDE in the data chart", "EULER_SDE", "equation 18", "data-sde"),
    _dpm_sde(
        "sde-dpm++2m",
        "the two-step rule of dpm++2m on the reverse SDE in the data chart",
        "two_m_sde",
        "equation 19",
        "data-sde",
        multistep=True,
        history=True,
        solver="midpoint",
    ),
    SamplerEntry(
        "euler-maruyama",
        "Euler's rule on the reverse SDE in time",
        "gradbench.samplers.stochastic:EULER_SDE",
        "Song et al., 2021, arXiv:2011.13456, equation 6; Maruyama, 1955",
        defaults={"grid": None},
        traits=SamplerTraits(stochastic=True, order=1, stages=1, chart="time-sde"),
        check=_check,
    ),
    _policy(
        "flow-sde",
        "Flow-GRPO's sampler, with the flow's marginals",
        "FlowSDE",
        "Liu et al., 2025, Flow-GRPO, arXiv:2505.05470, and its released code",
        a=0.7,
        first="released",
    ),
    _policy(
        "dance-sde",
        "DanceGRPO's sampler: a constant noise level, with the flow's marginals",
        "DanceSDE",
        "Xue et al., 2025, arXiv:2505.07818; MixGRPO's and Flow-GRPO's released codes",
        eta=0.3,
    ),
    _policy(
        "cps",
        "the DDIM family with a fixed share of noise; eta=1 noises x0_hat afresh",
        "CoefficientsPreserving",
        "Wang and Yu, 2025, arXiv:2509.05952, and Flow-GRPO's released code",
        chart="noise",
        eta=0.8,
    ),
    _policy(
        "precise",
        "the DDIM family with Flow-GRPO's noise, integrated over the step",
        "Precise",
        "arXiv:2605.23522, as described by third parties",
        chart="noise",
        a=0.7,
    ),
    _policy(
        "churn",
        "Euler's step of rectified flow to a level below, and noise back up",
        "Churn",
        "Finite-difference flow optimization, 2026, arXiv:2603.12893, and its released code",
        refuses=_refuse_churn,
        gamma=0.0025,
    ),
    _reversible(
        "reversible-heun",
        "Heun's rule with a second copy, reversible, in any chart",
        "REVERSIBLE_HEUN",
        "Kidger et al., 2021, arXiv:2105.13493",
        order=2,
        chart="noise",
    ),
    _reversible(
        "edict",
        "two coupled DDIM chains, reversible; turns=alternate is the released code's order",
        "EDICT",
        "Wallace, Gokul and Naik, 2023, arXiv:2211.12446",
        order=1,
        stages=2,
        p=0.93,
        turns="alternate",
        copies="one",
    ),
    _reversible(
        "bdia",
        "DDIM's two-step leapfrog in x, reversible",
        "BDIA",
        "Zhang, Lewis and Kleijn, 2023, arXiv:2307.10829",
        order=1,
        gamma=1.0,
    ),
    _reversible(
        "belm",
        "O-BELM: the two-step rule with the smallest local error, reversible",
        "BELM_RULE",
        "Wang et al., 2024, arXiv:2410.07273",
        order=2,
    ),
    _reversible(
        "rex",
        "any one-step rule in any chart made reversible (McCallum-Foster), of the ODE or the reverse SDE",
        "rex",
        "Blasingame and Liu, 2025, arXiv:2502.08834; McCallum and Foster, 2024, arXiv:2410.11648",
        order=1,
        stages=2,
        refuses=_refuse_rex,
        chart="data",
        rule="euler",
        zeta=0.999,
    ),
    group="gradbench.samplers",
    own="gradbench.samplers.own:sampler",
)
