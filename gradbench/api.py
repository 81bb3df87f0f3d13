"""The library: its four functions."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.nn import Parameter

import gradbench.references  # noqa: F401  # pyright: ignore[reportUnusedImport]  problems get their references from it
from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.denoiser import Denoiser
from gradbench.estimators.base import GradientEstimator
from gradbench.estimators.catalogue import ESTIMATORS, make_estimator
from gradbench.estimators.leaves import Wrt, leaves_of, listed, refuse_wrapped
from gradbench.estimators.moved import Moved
from gradbench.estimators.pathwise.pathwise import Differentiable
from gradbench.estimators.settings import warn_of_hooks
from gradbench.problems.case import Case, make_case
from gradbench.problems.problem import Objective, Problem, traits_of
from gradbench.samplers.spec import sampler_spec

# the check of x_T's spread: the widest of x_0, that of latents which are not scaled, and the share of alpha above which
# nothing is checked, since x_T may be a state of a chain that an untrained network has made
DATA, NOISY = 5.0, 0.4


def case(name: str, **params: Any) -> Case:
    """A case by name, `gradbench.case("gaussian", dim=6)`: parameters and explicit arrays by keyword.

    Raises `ValueError` for an unknown name, parameter or value, and lists those allowed.
    """
    return make_case(name, params)


def estimator(name: str, **options: Any) -> GradientEstimator:
    """An estimator by name, `gradbench.estimator("adjoint-deis", order=1)`, or by selector with brackets."""
    return make_estimator(name, **options)


def sample(
    denoiser: Denoiser,
    x_T: Tensor,
    *,
    sampler: str | None = None,
    steps: int | None = 50,
    grid: Iterable[float] | None = None,
    gradient: str | GradientEstimator = "checkpoint",
    wrt: Wrt = (),
    allow_unused: bool = False,
    seed: int = 0,
    t_max: float = 1.0,
    t_min: float = 0.001,
    noise: Tensor | str = "keyed",
    controls: Tensor | Mapping[str, Tensor] | None = None,
    states: Tensor | None = None,
) -> Tensor:
    """A differentiable sample: x_0 (b, *x) from x_T (b, *x), whose backward pass is the estimator `gradient`.

    sampler: a selector, `ddim[grid=leading]`; None takes the one with the step of the denoiser's scheduler
    (`sampler_for`) or, without a scheduler, `flow-euler` on rectified flow and `ddim` otherwise. x_T: alpha x_0 + sigma
    eps at the first time; `latents_scale` converts a pipeline's latents to it. grid: your own decreasing times, as from
    `grid_of(scheduler, steps)`, in place of steps, t_max and t_min. gradient: a selector, or an estimator that is
    `Differentiable`. wrt: an iterable or mapping of all tensors besides x_T whose gradient is wanted, leaf or not
    (prompt embeddings, LoRA weights), or an optimizer's `param_groups`, each counted once however often it is named; it
    must name every trainable tensor that the network reads. noise: for stochastic samplers; (steps, b, *x), `keyed` to
    draw it by key from `seed`, or `nested` for one Wiener path that other chains share.
    controls: (steps, b, *x), added to the velocity dx/dt of each step, or a mapping of `velocity` and `eps`, the latter
    added to the predicted noise. states: (steps, b, *x), added to the state before each step; if zero, its gradient is
    that of the states. x_T, noise, controls and states need not be listed in `wrt`: each gets its gradient if it
    requires one.

    Raises `ValueError`, before any work: if `wrt` omits a trainable tensor, whose gradient would be silently lost (if
    the denoiser does not visibly hold it, at the first evaluation on a tape, for most in the backward pass), or names
    two tensors of which one is computed from the other; if x_T requires a gradient that the estimator cannot reach, or
    has a spread that is not its schedule's (latents in a scheduler's own scale, unscaled noise for EDM); for
    a grid that requires a gradient; for a network inside FSDP or DDP (wrap DDP around the module whose forward calls
    this); for estimators that are not differentiable samples or do not support the sampler; and for unknown names.
    Raises `RuntimeError` in the backward pass if a tensor of `wrt` is never reached, unless `allow_unused`, and if the
    repeated steps differ from the original ones because a prompt, guidance scale, adapter, mode or weight was changed
    in between, or because the network answers from a cache.
    """
    _check_denoiser(denoiser)
    named = listed(wrt)
    grid, seed = checks.times("grid", grid), checks.seed(seed)
    steps = checks.positive_integer("steps", steps) if grid is None else len(grid) - 1
    checks.batch("x_T", x_T)
    sampler = _sampler_of(denoiser, sampler)
    spec = sampler_spec(sampler)
    method = make_estimator(gradient) if isinstance(gradient, str) else gradient
    if not isinstance(method, Differentiable):
        usable = [e.name for e in ESTIMATORS.values() if not e.traits.stochastic]
        raise UsageError(f"gradient {gradient!r} is not a differentiable sample; allowed: {', '.join(usable)}")
    moved = Moved.of(spec, noise, controls, states, steps, x_T)
    rollout = moved.onto(spec.rollout(denoiser, steps, t_max, t_min, x_T, seed, noise, grid, moved.steering))
    _check_scale(x_T, denoiser, rollout.grid[0])
    targets = [*(["x_T"] if x_T.requires_grad else []), *(["parameters"] if named else []), *moved.targets]
    reason = method.supports(traits_of(spec, rollout, targets, x_T))
    if reason:
        raise UsageError(f"gradient {gradient!r} cannot differentiate sampler {sampler!r}: {reason}")
    if x_T.requires_grad and not method.reaches_x_T(rollout.steps):
        raise UsageError(
            f"gradient {gradient!r} never reaches x_T, which requires a gradient: "
            "pass x_T.detach() or use another estimator"
        )
    refuse_wrapped(denoiser)
    leaves = leaves_of(denoiser, moved.without(named), {}, allow_unused, method.keeps_tape, moved.rows)
    if not method.keeps_tape:
        warn_of_hooks(denoiser)
    return method.sample(rollout, x_T, leaves)


def problem(
    denoiser: Denoiser,
    objective: Objective,
    x_T: Tensor,
    *,
    sampler: str | None = None,
    steps: int = 50,
    wrt: Wrt = (),
    seed: int = 0,
    t_max: float = 1.0,
    t_min: float = 0.001,
) -> Problem:
    """The problem of a network of your own, for estimators that need the objective itself: `estimator("awm")(problem)`.

    objective: x_0 (b, *x) to L per sample, (b), which is to be lowered; a reward with its sign changed. wrt: as in
    `sample`; their gradients are `grads["parameters"]`, in this order. x_T (b, *x) is a target if it requires a
    gradient. Raises `ValueError` for wrong arguments, before any work.
    """
    _check_denoiser(denoiser)
    checks.batch("x_T", x_T)
    spec, seed = sampler_spec(_sampler_of(denoiser, sampler)), checks.seed(seed)
    refuse_wrapped(denoiser)
    leaves = leaves_of(denoiser, listed(wrt), {"objective": objective}, allow_unused=True, one_tape=False)
    targets = [*(["x_T"] if x_T.requires_grad else []), *(["parameters"] if leaves else [])]
    if not targets:
        raise UsageError("nothing requires a gradient: name tensors in wrt, or call x_T.requires_grad_()")
    made = Problem(
        denoiser, spec, steps, t_max, t_min, x_T.detach(), objective, tuple(targets), None, tuple(leaves), seed
    )
    _check_scale(x_T, denoiser, made.rollout.grid[0])
    return made


def _check_denoiser(denoiser: Any) -> None:
    if not isinstance(denoiser, Denoiser):
        raise UsageError(f"denoiser must be a gradbench.Denoiser, got {type(denoiser).__name__}")


def _sampler_of(denoiser: Denoiser, sampler: Any) -> str:
    """The sampler given; for None that of the denoiser's scheduler or, without one, of its schedule."""
    if isinstance(sampler, str):
        return sampler
    if sampler is not None:
        raise UsageError(
            f"sampler must be a selector such as 'ddim', got {type(sampler).__name__}: of a scheduler give "
            "gradbench.sampler_for(scheduler)"
        )
    if denoiser.why_no_sampler:
        raise UsageError(f"sampler must be named: {denoiser.why_no_sampler}")
    return denoiser.sampler or ("flow-euler" if denoiser.schedule.name == "rectified" else "ddim")


def _check_scale(x_T: Tensor, denoiser: Denoiser, t: float) -> None:
    """Refuses an x_T at the noisy end whose spread is not that of alpha x_0 + sigma eps for x_0 of spread up to `DATA`.

    It leaves out the scale (EDM starts at 80), or is in a scheduler's own, x / alpha. Twice the noise, and a quarter of
    it, may be meant, and so may an x_T without spread.
    """
    if denoiser.clean or x_T.numel() < 64 or x_T.is_meta or type(x_T) not in (Tensor, Parameter):
        return
    alpha, sigma = denoiser.schedule.alpha(t), denoiser.schedule.sigma(t)
    spread = math.hypot(alpha, sigma)
    if alpha > NOISY * spread:
        return
    std = x_T.detach().float().std().item()
    if 0 < std < sigma / 4:
        remedy = f"multiply noise of spread 1 by {spread:.3g}, as PipelineParts.noise does"
    elif std > math.hypot(DATA * alpha, 2 * sigma) and alpha == 1:
        remedy = "scale noise once, as PipelineParts.noise does"
    elif std > math.hypot(DATA * alpha, 2 * sigma):
        remedy = (
            "multiply latents that are scaled by init_noise_sigma by gradbench.latents_scale(scheduler, grid), "
            f"here {alpha:.3g}"
        )
    else:
        return
    raise UsageError(
        f"x_T must be alpha x_0 + sigma eps, of spread {spread:.3g} at this time, got {std:.3g}, {std / spread:.3g} "
        f"times that: {remedy}"
    )
