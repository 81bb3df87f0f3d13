"""The catalogue lines of surrogates of the gradient, of losses on the forward process, and of successors of adjoint
matching. No torch.
"""

from typing import Any

from gradbench.estimators.entries import EstimatorEntry, truncated
from gradbench.estimators.monte_carlo.options import check_direct_align, check_draws, check_forward_process, check_value
from gradbench.estimators.monte_carlo.transitions import no_density, no_deterministic_step
from gradbench.estimators.pathwise.truncation import too_many
from gradbench.estimators.refusals import no_known_noise, no_leap, no_point
from gradbench.estimators.traits import EstimatorTraits

_MONTE_CARLO = "gradbench.estimators.monte_carlo."


def _forward(
    name: str, summary: str, factory: str, citation: str, confidence: str, law: str, times: int, **own: Any
) -> EstimatorEntry:
    shared = {"scale": "released", "advantage_clip": 5.0, "stale": 0.0}
    return EstimatorEntry(
        name,
        summary,
        f"{_MONTE_CARLO}forward_process:{factory}",
        citation,
        defaults={**own, "law": law, "times": times, **({} if name == "eam" else shared), "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True, biased=True, memory="constant", memoryless=True),
        check=check_forward_process,
        refuses=lambda options, traits: no_point(traits, "a loss on the forward process"),
        confidence=confidence,
    )


SURROGATES = (
    truncated(
        "leapalign",
        "two leaps between states of the chain, the second's input partly detached",
        "surrogates:leapalign",
        "LeapAlign, 2026, arXiv:2604.15311, equations 3 to 13",
        memory="linear",
        preset="hpsv2.1",
        a=None,
        tau=None,
        weight="similarity",
        law="pairs",
        detach="v",
    ),
    truncated(
        "flowbp",
        "some steps drawn (sparse), with one Jacobian (bridge), or two leaps by quadrature (lagrange)",
        "surrogates:flowbp",
        "FlowBP, 2026, arXiv:2606.11075",
        confidence="code",
        memory="linear",
        variant="sparse",
        preset="flux1",
        weight="similarity",
        detach="v",
        **dict.fromkeys(("k", "b", "g", "a", "tau", "q", "mode", "c", "law")),
    ),
    EstimatorEntry(
        "srpo",
        "the reward of a sample that is noised with known noise and recovered in one step, at early times",
        "gradbench.estimators.pathwise.direct_align:DirectAlign",
        "Shen et al., 2025, arXiv:2509.06942",
        defaults={"branch": "both", "law": "released", "weight": None, "shift": 3.0, "draws": None},
        traits=EstimatorTraits(draws=True, biased=True, memory="constant"),
        check=check_direct_align,
        refuses=lambda options, traits: no_known_noise(options["law"], options["branch"], traits),
        confidence="code",
    ),
    _forward(
        "nft",
        "a regression on the forward process, split in two by the reward: DiffusionNFT",
        "DiffusionNFT",
        "Zheng et al., 2025, arXiv:2509.16117",
        "code",
        law="grid",
        times=10,
        beta=1.0,
    ),
    _forward(
        "awm",
        "the regression on the forward process, weighted by the advantage",
        "AdvantageWeightedMatching",
        "Xue et al., 2025, arXiv:2509.25050",
        "code",
        law="stratified",
        times=6,
        weight="ghuber",
    ),
    _forward(
        "ram",
        "the regression on the forward process with the reward in its target: reinforce adjoint matching",
        "ReinforceAdjointMatching",
        "RAM, 2026, arXiv:2605.10759, equation 17",
        "reimplementation",
        law="uniform",
        times=16,
        strength=1.0,
    ),
    _forward(
        "eam",
        "as in its abstract: the samples' own gradients, carried back by a closed-form adjoint",
        "EndpointAdjoint",
        "arXiv:2605.11480, abstract",
        "abstract",
        law="uniform",
        times=16,
        c=1.0,
    ),
    EstimatorEntry(
        "fdfo",
        "pairs of chains, the secant of the reward, every step with weight one",
        f"{_MONTE_CARLO}finite_difference:FiniteDifferenceFlow",
        "Finite-difference flow optimization, 2026, arXiv:2603.12893",
        defaults={"scale": "released", "stale": 0.0, "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True, biased=True, memory="linear"),
        check=check_draws,
        refuses=lambda options, traits: no_density(traits),
        confidence="code",
    ),
    EstimatorEntry(
        "vgg-flow",
        "the velocity regressed on the reward's gradient at x0_hat",
        f"{_MONTE_CARLO}value_gradient:ValueGradientGuidance",
        "Liu et al., 2025, arXiv:2512.05116",
        defaults={"eta": "quadratic", "jacobian": False, "law": "all", "draws": None},
        traits=EstimatorTraits(draws=True, stochastic=True, biased=True, memory="linear"),
        check=check_value,
        refuses=lambda options, traits: no_leap("v", traits),
        confidence="code",
    ),
    EstimatorEntry(
        "ode-adjoint-matching",
        "the step of a deterministic chain regressed on its own adjoint, at the base model",
        f"{_MONTE_CARLO}adjoint_matching:ODEAdjointMatching",
        "arXiv:2605.06583, abstract",
        defaults={"index": "end", "k": None},
        traits=EstimatorTraits(stochastic=True, memory="linear"),
        check=check_draws,
        refuses=lambda options, traits: no_deterministic_step(traits) or too_many("k", options["k"], traits),
        declares=lambda options: EstimatorTraits(biased=options["index"] != "end" or options["k"] is not None),
        confidence="abstract",
    ),
)
