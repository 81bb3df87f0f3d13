"""The library: three functions."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from gradbench import checks
from gradbench.bench.case import Case, make_case
from gradbench.diffusion.denoiser import Denoiser
from gradbench.estimators.base import GradientEstimator
from gradbench.estimators.catalogue import ESTIMATORS, make_estimator
from gradbench.estimators.leaves import refuse_unnamed
from gradbench.estimators.pathwise import Differentiable
from gradbench.samplers.catalogue import sampler_spec


def case(name: str, **params: Any) -> Case:
    """A case by name, `gradbench.case("gaussian", dim=6)`: parameters and explicit arrays by keyword.

    Raises `ValueError` for a name, parameter or value that there is not, naming those that there are.
    """
    return make_case(name, params)


def estimator(name: str, **options: Any) -> GradientEstimator:
    """An estimator by name, `gradbench.estimator("adjoint-deis", order=1)`, or by selector with brackets."""
    return make_estimator(name, **options)


def sample(
    denoiser: Denoiser,
    x_T: Tensor,
    *,
    sampler: str = "ddim",
    steps: int = 50,
    gradient: str = "checkpoint",
    wrt: Sequence[Tensor] = (),
    seed: int = 0,
    t_max: float = 1.0,
    t_min: float = 0.001,
    noise: Tensor | str = "keyed",
) -> Tensor:
    """A differentiable sample: x_0 (b, *x) from x_T (b, *x), whose backward pass is the estimator `gradient`.

    sampler: a selector, `ddim[grid=leading]`. wrt: every tensor besides x_T whose gradient is wanted, leaf or not
    (prompt embeddings, LoRA weights). noise: of stochastic samplers, (steps, b, *x), or `keyed` to draw it by key from
    `seed`, or `nested` for one Wiener path that chains of other steps and samplers share. Raises `ValueError` where the
    network reads trainable tensors that `wrt` does not name, whose gradient would be silently lost; for estimators that
    are no differentiable sample; and for unknown names.
    """
    spec = sampler_spec(sampler)
    checks.seed(seed)
    method = make_estimator(gradient)
    if not isinstance(method, Differentiable):
        usable = [e.name for e in ESTIMATORS.values() if not e.traits.get("stochastic")]
        raise ValueError(f"gradient {gradient!r} is no differentiable sample. Allowed: {', '.join(usable)}")
    reason = method.supports({**spec.traits, "steps": steps})
    if reason:
        raise ValueError(f"gradient {gradient!r} cannot differentiate sampler {sampler!r}: {reason}")
    rollout = spec.rollout(denoiser, steps, t_max, t_min, x_T, seed, noise)
    refuse_unnamed(denoiser, wrt)
    return method.sample(rollout, x_T, [leaf for leaf in wrt if leaf.requires_grad])
