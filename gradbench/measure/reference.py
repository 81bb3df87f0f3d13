"""The right answers of a problem, each with how it was made, how far it can be trusted, and its digest."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradbench.diffusion.wiener import LEVELS
from gradbench.estimators.drawn import combine
from gradbench.estimators.problem import Gradients, Problem
from gradbench.estimators.solved import METHOD, solved_flow
from gradbench.measure.error import flatten, relative_error
from gradbench.measure.kept import kept

ROUNDING = 1e-12  # float64 rounding of a closed form, of a transposed chain and of a fine solve, relative to the norm
ROUNDING_32 = 1e-5  # the same of a transposed chain in float32: 2e-6 on digits, measured against float64


@dataclass(frozen=True)
class Thirds:
    """The means of three independent parts of a reference's draws, so that its own noise is never multiplied by itself.

    <value - g, direction> has the mean 0 whatever `direction` is, and <scale, direction> that of <g, direction>; with
    the mean of all draws in all three places, |g + noise|^2 would stand for |g|^2, and a multiple of it for 0.

    spread: the standard error of <value, direction>, in units of <scale, direction>, by target.
    """

    value: Gradients
    direction: Gradients
    scale: Gradients
    spread: dict[str, float]


def thirds_of(means: list[Gradients]) -> Thirds | None:
    """The thirds of a reference by draws from the means over its equal parts; None where they are fewer than six."""
    if len(means) < 6:
        return None
    values, directions, scales = means[::3], means[1::3], means[2::3]
    value, direction, scale = (combine(part, lambda p: p.mean(0)) for part in (values, directions, scales))
    spread = {}
    for target in value:
        along = flatten(direction[target])
        own = torch.stack([flatten(part[target]) for part in values]) @ along / (flatten(scale[target]) @ along)
        spread[target] = own.std().item() / len(values) ** 0.5
    return Thirds(value, direction, scale, spread)


@dataclass(frozen=True)
class Reference:
    """One of the three right answers: gradients by target, the method in words, its relative tolerance, its digest.

    spread: of a reference by draws, the standard error along itself, relative, by target. dtype: what it was made in.
    thirds: of a reference by draws, three independent parts.
    """

    grads: Gradients
    method: str
    tol: float
    spread: dict[str, float] = field(default_factory=dict)
    dtype: str = "float64"
    thirds: Thirds | None = None

    @property
    def digest(self) -> str:
        """sha256 of the gradients rounded to 9 digits of each one's largest entry, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for target, gradient in self.grads.items():
            values = flatten(gradient).numpy()
            exponent = np.floor(np.log10(np.abs(values).max())) if values.any() else 0.0
            digest.update(target.encode() + (np.round(values / 10.0 ** (exponent - 8)) + 0.0).tobytes())
        return digest.hexdigest()[:16]


def by_draws(problem: Problem, draws: int) -> Reference:
    """The expected gradient by the mean of the chain's exact pathwise gradients, over noises of a key of its own.

    The tolerance is the relative difference that two halves of the draws leave in their mean.
    """
    from gradbench.estimators.truncated import draft

    exact = replace(problem.to(problem.reference_dtype), seed=problem.seed + 0x5EED, noise="keyed")
    estimate = draft(problem.steps, draws)(exact)
    assert estimate.batch_means is not None
    half, found, spread = len(estimate.batch_means) // 2, estimate.grads, {}
    first, last = (
        combine(part, lambda p: p.mean(0)) for part in (estimate.batch_means[:half], estimate.batch_means[half:])
    )
    for target, gradient in found.items():
        g = flatten(gradient).double()
        along = torch.stack([flatten(m[target]).double() for m in estimate.batch_means]) @ g / (g @ g)
        spread[target] = along.std().item() / len(estimate.batch_means) ** 0.5
    tol = max(relative_error(last[t], first[t]) / 2 for t in found)  # type: ignore[arg-type]
    method = f"mean of {estimate.draws} pathwise gradients of their own noises"
    return Reference(found, method, tol, spread, _name(problem.reference_dtype), thirds_of(estimate.batch_means))


def by_solving(problem: Problem, keep: Path | None = None) -> Reference:
    """The flow of a network, by two solves of its ODE whose distance is the tolerance. keep: a file for it, or None."""

    def make() -> Gradients:
        solved = solved_flow(problem)
        return {**solved.grads, "tolerance": torch.tensor(solved.tol, dtype=torch.float64)}

    found = kept(keep, make)
    tolerance = found.pop("tolerance")
    assert isinstance(tolerance, torch.Tensor)  # a tensor alone, not those of the parameters
    return Reference(found, METHOD, tolerance.item())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def references(
    problem: Problem,
    flow_method: str | None,
    draws: int | None = None,
    keep: Path | None = None,
    stored: Callable[[], Reference | None] = lambda: None,
) -> dict[str, Reference]:
    """The references that are known, by kind: flow, sampler, expected. flow_method: how the case knows its flow.

    draws: of an estimator that draws; where the expected gradient has no exact form it is then the stored one, or made
    by as many. keep: the file that the sampler's reference is kept in, or None. stored: finds an expected gradient that
    a case holds of this problem, or None.
    """
    found: dict[str, Reference] = {}
    stochastic = problem.sampler.traits["stochastic"]
    flow = problem.flow_gradient()
    if flow is not None and stochastic:
        coarse = problem.path_gradient(LEVELS - 1)
        tol = max(relative_error(coarse[t], flow[t]) for t in flow)  # type: ignore[index, arg-type]
        found["flow"] = Reference(flow, f"exact reverse SDE on a path of 2^{LEVELS} cells", tol)
    elif flow is not None:
        found["flow"] = Reference(flow, flow_method or "the case's own", ROUNDING)
    sampler = kept(keep, problem.sampler_gradient)
    name = _name(problem.reference_dtype)
    method = f"transposed chain in {name} on the cell's rounded values"
    tol = ROUNDING if name == "float64" else ROUNDING_32
    found["sampler"] = Reference(sampler, method, tol, dtype=name)
    expected = problem.expected_gradient() if stochastic else sampler
    if expected is not None:
        method = "moments of the affine chain" if stochastic else "the chain's own, without noise"
        found["expected"] = Reference(expected, method, ROUNDING if stochastic else tol, dtype=name)
    elif draws is not None:
        found["expected"] = stored() or by_draws(problem, draws)
    return found


def columns(found: dict[str, Reference]) -> dict[str, Any]:
    """The columns of a row that speak of its references."""
    digest = hashlib.sha256("".join(f"{kind}:{r.digest}" for kind, r in found.items()).encode())
    return {
        "reference_method": "; ".join(f"{kind}: {r.method}" for kind, r in found.items()),
        "reference_tol": max(r.tol for r in found.values()),
        "reference_digest": digest.hexdigest()[:16],
        "reference_dtype": min((r.dtype for r in found.values()), key=("float32", "float64").index),
        **{f"{kind}_tol": r.tol for kind, r in found.items()},
    }
