"""Samplers by name, as plain data; torch is imported only when one is built.

A sampler is a chart, a rule and a grid. Its parameters include `chart` and `grid`; grid=None takes that of the case.
"""

from typing import Any

from gradbench.entry import Catalogue
from gradbench.samplers import runge_kutta
from gradbench.samplers.entry import SamplerEntry, check
from gradbench.samplers.multistep_entries import MULTISTEP
from gradbench.samplers.policy_entries import POLICY
from gradbench.samplers.reversible_entries import REVERSIBLE
from gradbench.samplers.runge_kutta import RungeKutta
from gradbench.samplers.traits import SamplerTraits

_TEXTBOOK = "Hairer, Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, chapter II"
LATER = {"solver": "midpoint"}  # options absent from published rows: stored only if they differ


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
        check=check,
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
        check=check,
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
        check=check,
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
        check=check,
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
    _dpm_sde(
        "sde-dpm2m",
        "the two-step rule of dpm2m on the reverse SDE in the noise chart",
        "two_m_sde",
        "in the noise chart",
        "noise-sde",
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
        check=check,
    ),
    *MULTISTEP,
    *POLICY,
    *REVERSIBLE,
    group="gradbench.samplers",
    own="gradbench.samplers.own:sampler",
)
