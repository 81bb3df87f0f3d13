"""The gradient of E[L] over the step noises at the problem's x_T: exact for affine chains, otherwise Monte Carlo."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from gradbench import checks
from gradbench.estimators.pathwise.truncated import Truncated
from gradbench.estimators.pathwise.truncation import LastSteps
from gradbench.problems.gradients import Gradients
from gradbench.problems.problem import Expectation, Problem
from gradbench.references.affine import moments
from gradbench.references.reference import ROUNDING, Reference, name_of, thirds_of
from gradbench.references.sampler import sampler_gradient

EXPECTATIONS = ("sampler", "exact-sde")
SEED = 0x5EED  # separate from the draws of the tested estimators


def expected_gradient(problem: Problem, of: str = "sampler") -> Gradients | None:
    """Gradient of E[L] over the step noises at this x_T, in float64; None if unknown.

    A chain without noise is its own expectation. That of a stochastic chain is known if it is affine in the state and
    the objective has its expectation over a Gaussian. of: `sampler` for the chain, `exact-sde` for the reverse SDE from
    grid[0] to grid[-1] that it approximates.
    """
    checks.one_of("expectation of", of, EXPECTATIONS)
    if of == "sampler" and not problem.sampler.traits.stochastic:
        return sampler_gradient(problem)
    found = expectation(problem, of)
    return None if found is None else found.grads


def expectation(problem: Problem, of: str = "sampler") -> Expectation | None:
    """The gradient of E[L], the moments of x_0 given x_T, and E[L]; None if unknown."""
    law_known = problem.denoiser.affine and (of == "sampler" or hasattr(problem.denoiser, "reverse_sde"))
    if not law_known or not hasattr(problem.objective, "expectation"):
        return None
    exact = problem.to(torch.float64)
    kept: list[Tensor] = []

    def value(x_T: Tensor) -> Tensor:
        ends = exact.rollout.grid[0], exact.rollout.grid[-1]
        law, objective = exact.denoiser, exact.objective
        kept.extend(moments(exact.rollout, x_T) if of == "sampler" else law.reverse_sde(x_T, *ends))  # type: ignore
        return objective.expectation(kept[0], kept[1].diagonal()).sum()  # type: ignore[union-attr]

    grads, number = exact.differentiate_value(value)
    return Expectation(grads, kept[0].detach(), kept[1].detach(), number)


def expected_reference(
    problem: Problem, sampler: Reference, draws: int | None, stored: Callable[[], Reference | None]
) -> Reference | None:
    """The expected gradient: the sampler's own without noise, in closed form, stored, or the mean of `draws` draws.

    draws: of a Monte Carlo estimator; any other has only the closed form.
    """
    if not problem.sampler.traits.stochastic:
        return replace(sampler, method="the chain's own, without noise")
    exact = expected_gradient(problem)
    if exact is not None:
        return Reference(exact, "moments of the affine chain", ROUNDING, dtype=name_of(problem.reference_dtype))
    return None if draws is None else stored() or by_draws(problem, draws)


def by_draws(problem: Problem, draws: int) -> Reference:
    """The expected gradient as the mean of the chain's exact pathwise gradients, over noises with their own key.

    The tolerance is the relative difference that two halves of the draws leave in their mean.
    """
    exact = replace(problem.to(problem.reference_dtype), seed=problem.seed + SEED, noise="keyed")
    estimate = Truncated(LastSteps(problem.steps), draws)(exact)
    means = estimate.batch_means
    assert means is not None  # it is Monte Carlo
    half, found, spread = len(means) // 2, estimate.grads, {}
    first, last = (Gradients.stacked(part, lambda p: p.mean(0)) for part in (means[:half], means[half:]))
    for target in found:
        g = found.flat(target)
        along = torch.stack([mean.flat(target) for mean in means]) @ g / (g @ g)
        spread[target] = along.std().item() / len(means) ** 0.5
    method = f"mean of {estimate.draws} pathwise gradients of their own noises"
    tol = first.disagreement(last) / 2
    return Reference(found, method, tol, spread, name_of(problem.reference_dtype), thirds_of(means))
