"""Solvers of two and more evaluations or steps, as guides recommend them; no torch.

Their first steps, and the last of UniPC, are of first order: the error falls as 1/N^2 in the end.
"""

from collections.abc import Callable
from typing import Any

from gradbench import checks
from gradbench.diffusion.grid import TimeRange
from gradbench.samplers.entry import SamplerEntry, check, check_grid
from gradbench.samplers.traits import SamplerTraits
from gradbench.selector import Options


def _check_order(orders: tuple[int, ...], **choices: tuple[str, ...]) -> Callable[[Options], None]:
    """A check of a multistep rule's order and of its other choices."""

    def checked(options: Options) -> None:
        checks.one_of("order", options["order"], orders)
        for name, allowed in choices.items():
            checks.one_of(name, options[name], allowed)
        check_grid(options["grid"])

    return checked


def _refuse_bh1(options: Options, where: TimeRange) -> str | None:
    if options["solver"] == "bh1" and where.alpha_T <= 0:
        return "bh1 of a step from alpha = 0, whose log-SNR is not finite, has no value: use solver=bh2, or lower t_max"
    return None


def _entry(
    name: str,
    summary: str,
    place: str,
    citation: str,
    chart: str,
    checked: Callable[[Options], None] = check,
    stages: int = 1,
    **defaults: Any,
) -> SamplerEntry:
    """A solver in one chart, with history but for one of several stages."""
    return SamplerEntry(
        name,
        summary,
        f"gradbench.samplers.{place}",
        citation,
        defaults={**defaults, "grid": None},
        traits=SamplerTraits(stochastic=False, order=2, stages=stages, chart=chart, history=stages == 1),
        check=checked,
    )


_PLUS = "Lu et al., 2022, arXiv:2211.01095"
MULTISTEP = (
    SamplerEntry(
        "ab2",
        "two-step Adams-Bashforth with variable steps, in any chart",
        "gradbench.samplers.multistep:AB2",
        "Zhang and Chen, 2023, DEIS, arXiv:2204.13902, section 3.4",
        defaults={"chart": "noise", "grid": None},
        traits=SamplerTraits(stochastic=False, order=2, stages=1, history=True),
        check=check,
    ),
    _entry(
        "dpm++2m",
        "the two-step rule in the data chart with its ratio in log-SNR",
        "multistep:two_m",
        f"{_PLUS}, algorithm 2",
        chart="data",
        solver="midpoint",
    ),
    _entry(
        "dpm2m",
        "the rule of dpm++2m in the noise chart: DPM-Solver of second order, two steps",
        "multistep:two_m",
        "Lu et al., 2022, DPM-Solver, arXiv:2206.00927, and diffusers' DPMSolverMultistepScheduler",
        chart="noise",
        solver="midpoint",
    ),
    _entry(
        "dpm++3m",
        "the three-step rule in the data chart, as published and run: of second order",
        "multistep:THREE_M",
        f"{_PLUS}, and diffusers' DPMSolverMultistepScheduler",
        chart="data",
    ),
    _entry(
        "dpm++2s",
        "two steps at a time in the data chart, the second taken again from where the pair began",
        "pairs:TWO_S",
        f"{_PLUS}, algorithm 1, and diffusers' DPMSolverSinglestepScheduler",
        chart="data",
    ),
    _entry(
        "kdpm2",
        "the midpoint rule in the noise chart with its stage half-way in log-SNR",
        "pairs:KDPM2",
        "Crowson, k-diffusion, sample_dpm_2, as diffusers' KDPM2DiscreteScheduler has it",
        chart="noise",
        stages=2,
    ),
    _entry(
        "pndm",
        "PLMS, Stable Diffusion 1's default: four-step Adams-Bashforth of equal steps in the noise chart",
        "plms:PNDM",
        "Liu et al., 2022, arXiv:2202.09778, and diffusers' PNDMScheduler",
        chart="noise",
    ),
    _entry(
        "deis",
        "Adams-Bashforth in the noise chart with its polynomial in log(sigma/alpha)",
        "adams:deis",
        "Zhang and Chen, 2023, arXiv:2204.13902, and diffusers' DEISMultistepScheduler",
        chart="noise",
        checked=_check_order((2, 3)),
        order=3,
    ),
    _entry(
        "lms",
        "Adams-Bashforth in the noise chart with variable steps",
        "adams:lms",
        "Hairer, Norsett and Wanner, 1993, section III.5; Crowson, k-diffusion, sample_lms",
        chart="noise",
        checked=_check_order((2, 3, 4)),
        order=4,
    ),
    SamplerEntry(
        "unipc",
        "a multistep predictor in log-SNR, each point corrected once the next evaluation is known",
        "gradbench.samplers.unipc:unipc",
        "Zhao et al., 2023, arXiv:2302.04867, and diffusers' UniPCMultistepScheduler",
        defaults={"order": 2, "solver": "bh2", "chart": "data", "grid": None},
        traits=SamplerTraits(stochastic=False, order=2, stages=1, history=True),
        check=_check_order((1, 2, 3), solver=("bh2", "bh1"), chart=("data", "noise")),
        refuses=_refuse_bh1,
    ),
)
