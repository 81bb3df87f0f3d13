"""Samplers whose steps can be undone; no torch."""

from typing import Any

from gradbench import checks
from gradbench.diffusion.chart import CHARTS
from gradbench.diffusion.grid import TimeRange
from gradbench.diffusion.sde_chart import SDE_CHARTS
from gradbench.samplers.entry import Refuses, SamplerEntry, check, check_grid, nowhere
from gradbench.samplers.rules import ONE_STEP
from gradbench.samplers.traits import SamplerTraits
from gradbench.selector import Options


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
        check(options)


def _refuse_rex(options: Options, where: TimeRange) -> str | None:
    if options["chart"] in ("data", "data-sde") and where.sigma_0 <= 0:
        return f"a reversible rule cannot step back from sigma = 0 in the {options['chart']} chart: raise t_min"
    return None


def _reversible(
    name: str,
    summary: str,
    factory: str,
    citation: str,
    order: int,
    stages: int = 1,
    refuses: Refuses = nowhere,
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


REVERSIBLE = (
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
)
