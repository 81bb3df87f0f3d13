"""Surrogates of the gradient as plans, with the settings of their papers by name."""

from collections.abc import Mapping
from typing import Any

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.detached import DETACHED
from gradbench.estimators.pathwise.drawn_steps import BridgedSteps, SparseSteps
from gradbench.estimators.pathwise.leaping import MODES, PAIRS, DirichletPairs, PairLaw, TwoLeaps
from gradbench.estimators.pathwise.plan import PlanDistribution

LEAPALIGN: dict[str, dict[str, Any]] = {
    "hpsv2.1": {"a": 0.3, "tau": 0.1},
    "pickscore": {"a": 0.1, "tau": 0.1},
    "hpsv3": {"a": 0.1, "tau": 0.1},
}
_QUADRATURE = {"a": 0.1, "tau": 0.2, "q": 3, "mode": "midpoint", "c": 0.25, "law": "dirichlet"}
FLOWBP: dict[str, dict[str, dict[str, Any]]] = {
    "sparse": {
        "flux1": {"k": 3, "b": 2.0, "g": 1.0},
        "sd3.5": {"k": 4, "b": 1.0, "g": 0.5},
        "flux2": {"k": 4, "b": 2.0, "g": 0.0},
    },
    "bridge": {
        "flux1": {"k": 5, "b": 2.0, "g": 1.0, "a": 0.1},
        "sd3.5": {"k": 5, "b": 4.0, "g": 0.0, "a": 0.5},
        "flux2": {"k": 3, "b": 4.0, "g": 0.5, "a": 1.0},
    },
    "lagrange": {
        "flux1": {**_QUADRATURE, "g": 0.5, "share": 1.0, "latest": None},
        "sd3.5": {**_QUADRATURE, "g": 0.0, "share": 1.0, "latest": 10},
        "flux2": {**_QUADRATURE, "g": 0.0, "share": 0.7, "latest": None, "tau": 0.1},
    },
}


def leapalign(
    preset: str, a: float | None, tau: float | None, weight: str | None, law: str, detach: str
) -> PlanDistribution:
    """LeapAlign, see `TwoLeaps`: two leaps from states drawn at random, put at the chain's own states.

    preset: `hpsv2.1` (a = 0.3), `pickscore` or `hpsv3` (a = 0.1), all with tau = 0.1; a, tau override it. weight:
    `similarity` divides a sample's gradient by its distances, `none` does not. law: `pairs` is the paper's; `clean` and
    `half` are its ablations; `from-noise`, ours, starts at x_T and has its gradient, which is the chain's for N = 2 and
    a = 1. The reward's hinge belongs to the objective. References: LeapAlign, 2026, arXiv:2604.15311, eq. 3 to 13.
    """
    said = _filled({"a": a, "tau": tau}, LEAPALIGN[checks.one_of("preset", preset, LEAPALIGN)])
    _weighed(weight, tau)
    return TwoLeaps(said["a"], _floor(said["tau"], weight), _law(law), detach=_detached(detach))


def flowbp(variant: str, preset: str, weight: str | None, detach: str, **given: Any) -> PlanDistribution:
    """FlowBP: `sparse` (see `SparseSteps`), `bridge` (`BridgedSteps`) or `lagrange` (`TwoLeaps` with q nodes per leap).

    preset: the released settings for `flux1`, `sd3.5` or `flux2`; options that are given override it. `ValueError` for
    one that the variant does not have. The gradient of x_T is ours for sparse and bridge, and for lagrange with
    law=from-noise. References: FlowBP, 2026, arXiv:2606.11075, and its released code.
    """
    presets = FLOWBP[checks.one_of("variant", variant, FLOWBP)]
    own = presets[checks.one_of("preset", preset, presets)]
    for name, value in given.items():
        if value is None:
            continue
        _check(name, value)
        if name not in own:
            raise UsageError(f"{name} is no option of variant={variant}, got {value!r}; it has {', '.join(own)}")
    said = _filled({name: value for name, value in given.items() if name in own}, own)
    held = _detached(detach)
    if variant == "lagrange":
        _weighed(weight, given.get("tau"))
        law = _law(said["law"], said["share"], said["latest"])
        order, mode = said["q"], said["mode"]
        return TwoLeaps(said["a"], _floor(said["tau"], weight), law, order, mode, said["c"], said["g"], detach=held)
    k = said["k"]
    if checks.one_of("weight", weight, WEIGHTS) is None:
        raise UsageError(f"weight is no option of variant={variant}, whose gradients have no weight, got None")
    if variant == "sparse":
        return SparseSteps(k, said["b"], said["g"], detach=held)
    if k < 2:
        raise UsageError(f"k of variant=bridge must be at least 2, one on each side of the bridge, got {k}")
    return BridgedSteps(k, said["b"], said["g"], said["a"], detach=held)


WEIGHTS = ("similarity", None)
RANGES = {"a": (0.0, 1.0), "b": (0.0, 100.0), "g": (0.0, 100.0), "c": (0.0, 100.0), "tau": (1e-12, 1e6)}


def _check(name: str, value: Any) -> None:
    """The values that an option takes, whatever the variant."""
    if name in ("k", "q"):
        checks.positive_integer(name, value)
    elif name in RANGES:
        checks.in_range(name, value, *RANGES[name])
    else:
        checks.one_of(name, value, {"mode": MODES, "law": PAIRS}[name])


def _filled(given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The given options and, where these are None, the preset's; numbers are checked."""
    said = {name: own[name] if value is None else value for name, value in given.items()} | {
        name: value for name, value in own.items() if name not in given
    }
    for name, (low, high) in RANGES.items():
        if name in said:
            said[name] = checks.in_range(name, said[name], low, high)
    return said


def _weighed(weight: str | None, tau: float | None) -> None:
    """Refuses a floor of distances that no weight reads."""
    if checks.one_of("weight", weight, WEIGHTS) is None and tau is not None:
        raise UsageError(f"tau is the floor of weight=similarity and does nothing with weight=none, got {tau!r}")


def _floor(tau: float, weight: str | None) -> float | None:
    return tau if weight else None


def _law(name: str, share: float = 1.0, latest: int | None = None) -> PairLaw:
    law = PAIRS[checks.one_of("law", name, PAIRS)]
    return DirichletPairs(share=share, latest=latest) if isinstance(law, DirichletPairs) else law


def _detached(name: str) -> str:
    return checks.one_of("detach", name, DETACHED)
