"""Samplers whose noise is chosen freely: those of policy gradients and of distilled models; no torch."""

from typing import Any

from gradbench.diffusion.grid import TimeRange
from gradbench.samplers.entry import Refuses, SamplerEntry, check, nowhere
from gradbench.samplers.traits import SamplerTraits
from gradbench.selector import Options


def _refuse_churn(options: Options, where: TimeRange) -> str | None:
    if where.schedule not in (None, "rectified"):
        return f"churn keeps the noise level of rectified flow: use schedule=rectified, got {where.schedule}"
    return None


def _refuse_tcd(options: Options, where: TimeRange) -> str | None:
    if where.schedule == "rectified" or where.sigma_0 <= 0:
        return (
            "tcd steps by the indices of a table of alphas, down to its first: not by rectified flow, nor to sigma = 0"
        )
    return None


def _policy(
    name: str,
    summary: str,
    factory: str,
    citation: str,
    chart: str = "time",
    refuses: Refuses = nowhere,
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
        check=check,
        refuses=refuses,
    )


POLICY = (
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
    SamplerEntry(
        "lcm",
        "few steps of a consistency model: its prediction, noised anew in every step",
        "gradbench.samplers.consistency:lcm",
        "Luo et al., 2023, arXiv:2310.04378, and diffusers' LCMScheduler",
        defaults={"scaling": 10.0, "grid": None},
        traits=SamplerTraits(stochastic=True, order=1, stages=1, chart="data", reverse_sde=False),
        check=check,
    ),
    SamplerEntry(
        "tcd",
        "few steps of a consistency model: a step below the next time, and noise back up",
        "gradbench.samplers.consistency:tcd",
        "Zheng et al., 2024, arXiv:2402.19159, and diffusers' TCDScheduler",
        defaults={"eta": 0.3, "grid": None},
        traits=SamplerTraits(
            stochastic=True, order=1, stages=1, chart="noise", chart_at_zero="data", reverse_sde=False
        ),
        check=check,
        refuses=_refuse_tcd,
    ),
)
