"""The estimators by name, as plain data; torch is not imported until one is made."""

from typing import TYPE_CHECKING, Any

from gradbench.entry import Catalogue
from gradbench.estimators.entries import EstimatorEntry, truncated
from gradbench.estimators.external.solvers import (
    check_torchdiffeq,
    check_torchsde,
    declare_torchdiffeq,
    refuse_torchdiffeq,
    refuse_torchsde,
)
from gradbench.estimators.monte_carlo.options import check_ddpo, check_draws, declare_draws
from gradbench.estimators.monte_carlo.transitions import no_density, no_last_step, no_mean, no_sub_chain, no_window
from gradbench.estimators.pathwise.adjoints import (
    check_adjoint,
    check_adjoint_deis,
    check_adjoint_dpm,
    declare_adjoint,
    refuse_adjoint,
)
from gradbench.estimators.pathwise.recoveries import check_recovery
from gradbench.estimators.pathwise.recovery import Inverted
from gradbench.estimators.surrogate_entries import SURROGATES
from gradbench.estimators.traits import EstimatorTraits
from gradbench.selector import parse

if TYPE_CHECKING:
    from gradbench.estimators.base import GradientEstimator


_PATHWISE = "gradbench.estimators.pathwise.pathwise:"


ESTIMATORS = Catalogue(
    "estimator",
    EstimatorEntry(
        "backprop",
        "the whole chain on one tape",
        _PATHWISE + "Backprop",
        "Linnainmaa, 1976, BIT 16",
        traits=EstimatorTraits(exact=True, memory="linear"),
    ),
    EstimatorEntry(
        "checkpoint",
        "stored states, one step's tape at a time",
        _PATHWISE + "checkpoint",
        "Griewank and Walther, 2000, ACM TOMS 26; Chen et al., 2016, arXiv:1604.06174",
        defaults={"offload": None},
        traits=EstimatorTraits(exact=True, memory="linear"),
        check=check_recovery,
    ),
    EstimatorEntry(
        "revolve",
        "binomial checkpointing: a few states, the others recomputed",
        _PATHWISE + "revolve",
        "Griewank and Walther, 2000, ACM TOMS 26",
        defaults={"snapshots": 5},
        traits=EstimatorTraits(exact=True, memory="constant"),
        check=check_recovery,
    ),
    EstimatorEntry(
        "reversible",
        "each state from the next by the inverse of the sampler's step; no state is stored",
        _PATHWISE + "reversible",
        "McCallum and Foster, 2024, arXiv:2410.11648; Kidger et al., 2021, arXiv:2105.13493",
        traits=EstimatorTraits(exact=True, memory="constant"),
        refuses=lambda options, traits: Inverted().refuses(traits),
    ),
    EstimatorEntry(
        "torchdiffeq-adjoint",
        "odeint_adjoint of torchdiffeq in the sampler's chart",
        "gradbench.estimators.external.ode:TorchdiffeqAdjoint",
        "Chen et al., 2018, arXiv:1806.07366",
        defaults={
            "method": None,
            "chart": None,
            "trajectory": "stored",
            "norm": "seminorm",
            "rtol": 1e-5,
            "atol": 1e-5,
        },
        requires=("torchdiffeq",),
        check=check_torchdiffeq,
        refuses=lambda options, traits: refuse_torchdiffeq(options["method"], options["chart"], traits),
        declares=declare_torchdiffeq,
    ),
    EstimatorEntry(
        "torchsde-adjoint",
        "sdeint_adjoint of torchsde on the sampler's noise: exact for its reversible pair, inexact for the Ito pairs",
        "gradbench.estimators.external.sde:TorchsdeAdjoint",
        "Kidger et al., 2021, arXiv:2105.13493; Li et al., 2020, arXiv:2001.01328",
        defaults={"method": "reversible_heun", "chart": "time"},
        traits=EstimatorTraits(memory="constant"),
        requires=("torchsde",),
        check=check_torchsde,
        refuses=lambda options, traits: refuse_torchsde(options["chart"], traits),
    ),
    EstimatorEntry(
        "adjoint-dpm",
        "the continuous adjoint in the noise or data chart",
        _PATHWISE + "adjoint_dpm",
        "Pan et al., 2024, arXiv:2307.10711",
        defaults={
            "chart": "noise",
            "rule": "euler",
            "trajectory": "resolved",
            "steps": None,
            "rtol": 1e-5,
            "atol": 1e-5,
        },
        check=check_adjoint_dpm,
        refuses=refuse_adjoint,
        declares=declare_adjoint,
    ),
    EstimatorEntry(
        "adjoint-deis",
        "the exponential-integrator adjoint, evaluated at the clean end of each step",
        _PATHWISE + "adjoint_deis",
        "Blasingame and Liu, 2024, arXiv:2405.15020",
        defaults={"order": 1, "trajectory": "stored", "steps": None},
        check=check_adjoint_deis,
        refuses=refuse_adjoint,
        declares=declare_adjoint,
    ),
    EstimatorEntry(
        "continuous-adjoint",
        "the continuous adjoint by any rule in any chart, on its own backward grid",
        _PATHWISE + "continuous_adjoint",
        "Chen et al., 2018, arXiv:1806.07366",
        defaults={
            "chart": "log-snr",
            "rule": "ab2",
            "trajectory": "stored",
            "steps": None,
            "snapshots": 5,
            "rtol": 1e-5,
            "atol": 1e-5,
        },
        check=check_adjoint,
        refuses=refuse_adjoint,
        declares=declare_adjoint,
    ),
    truncated(
        "draft",
        "backpropagation through the last k steps",
        "truncation:LastSteps",
        "Clark et al., 2024, DRaFT, arXiv:2309.17400",
        k=1,
    ),
    EstimatorEntry(
        "draft-lv",
        "the last step, with its noise redrawn n times",
        "gradbench.estimators.pathwise.draft_lv:DraftLV",
        "Clark et al., 2024, DRaFT, arXiv:2309.17400, section 3",
        defaults={"n": 2, "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True, biased=True, memory="constant"),
        check=check_draws,
        refuses=lambda options, traits: no_last_step(traits),
    ),
    truncated(
        "alignprop",
        "backpropagation cut at a random step: the paper's distribution, both released ones, or an unbiased one",
        "truncation:cut_of",
        "Prabhudesai et al., 2023, AlignProp, arXiv:2310.03739",
        law="paper",
    ),
    truncated(
        "refl",
        "the reward of x0_hat at one of the last states, one evaluation differentiated",
        "truncation:OneStepLeft",
        "Xu et al., 2023, ImageReward, arXiv:2304.05977",
        window=None,
    ),
    truncated(
        "drtune",
        "k spaced steps, the gradient stopped at every network input",
        "truncation:SpacedSteps",
        "Wu et al., 2024, DRTune, arXiv:2405.00760",
        k=3,
        early=0,
    ),
    truncated(
        "shortcut",
        "the graph of one random step, all others detached",
        "truncation:Shortcut",
        "Dou et al., 2025, arXiv:2505.07477",
    ),
    EstimatorEntry(
        "reinforce",
        "the score function of the chain's transitions",
        "gradbench.estimators.monte_carlo.score_function:Reinforce",
        "Williams, 1992, Machine Learning 8; Kool et al., 2019",
        defaults={"baseline": "loo", "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True, memory="linear"),
        check=check_draws,
        refuses=lambda options, traits: no_density(traits),
        declares=declare_draws,
    ),
    EstimatorEntry(
        "ddpo",
        "the clipped policy gradient over denoising steps",
        "gradbench.estimators.monte_carlo.ddpo:DDPO",
        "Black et al., 2023, arXiv:2305.13301; Liu et al., 2025, Flow-GRPO, arXiv:2505.05470; GRPO-Guard, 2025, "
        "arXiv:2510.22319; Li et al., 2025, MixGRPO, arXiv:2507.21802",
        defaults={
            "clip": 1e-4,
            "advantage_clip": 5.0,
            "statistics": "prompt",
            "scale": "released",
            "stale": 0.0,
            "ratio": "released",
            "window": None,
            "at": None,
            "draws": None,
        },
        traits=EstimatorTraits(draws=True, stochastic=True, biased=True, memory="linear"),
        later={"ratio": "released", "window": None, "at": None},
        check=check_ddpo,
        refuses=lambda options, traits: no_density(traits) or no_window(options["window"], options["at"], traits),
    ),
    EstimatorEntry(
        "rlr",
        "score functions with a short sub-chain differentiated through: half order",
        "gradbench.estimators.monte_carlo.half_order:RecursiveLikelihoodRatio",
        "Ren et al., 2025, arXiv:2502.00639",
        defaults={"h": 3, "baseline": "loo", "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True, memory="linear"),
        check=check_draws,
        refuses=lambda options, traits: no_sub_chain(options["h"], traits),
        declares=declare_draws,
    ),
    EstimatorEntry(
        "adjoint-matching",
        "the regression of the drift on the base model's adjoint, at the base model",
        "gradbench.estimators.monte_carlo.adjoint_matching:AdjointMatching",
        "Domingo-Enrich et al., 2025, arXiv:2409.08861",
        defaults={"index": "end", "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True, memory="linear"),
        check=check_draws,
        refuses=lambda options, traits: no_mean(traits),
        declares=declare_draws,
    ),
    EstimatorEntry(
        "spsa",
        "two chains per draw along random signs: simultaneous perturbation",
        "gradbench.estimators.monte_carlo.perturbed:SPSA",
        "Spall, 1992, IEEE Transactions on Automatic Control 37",
        defaults={"c": 1e-3, "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True),
        check=check_draws,
    ),
    EstimatorEntry(
        "evolution-strategies",
        "two chains per draw along a normal direction, mirrored",
        "gradbench.estimators.monte_carlo.perturbed:EvolutionStrategies",
        "Salimans et al., 2017, arXiv:1703.03864",
        defaults={"c": 1e-2, "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True),
        check=check_draws,
    ),
    EstimatorEntry(
        "forward-gradient",
        "the slope along a normal direction in forward mode: no tape",
        "gradbench.estimators.monte_carlo.perturbed:ForwardGradient",
        "Baydin et al., 2022, arXiv:2202.08587",
        defaults={"draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True),
        check=check_draws,
    ),
    EstimatorEntry(
        "finite-differences",
        "central differences in every coordinate: a last resort",
        "gradbench.estimators.monte_carlo.perturbed:FiniteDifferences",
        "Euler, 1755, Institutiones calculi differentialis",
        defaults={"c": 1e-4},
        traits=EstimatorTraits(stochastic=True, coordinates=True),
        check=check_draws,
    ),
    *SURROGATES,
    group="gradbench.estimators",
)


def make_estimator(selector: str, **options: Any) -> "GradientEstimator":
    """The estimator that a selector names; keyword options override those in brackets."""
    name, given = parse(selector)
    entry = ESTIMATORS.find(name)
    return entry.load()(**entry.options({**given, **options}))
