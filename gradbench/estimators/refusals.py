"""Reasons to refuse a problem, shared by several kinds of estimators; no torch."""

from gradbench.problems.steps import of_steps
from gradbench.problems.traits import ProblemTraits


def no_equation(traits: ProblemTraits) -> str | None:
    """Refuses chains whose steps do not tile the time range: they solve no equation on their grid."""
    if traits.tiled:
        return None
    return (
        "this scheduler's steps do not end where the next ones begin, so the chain solves no equation on its "
        "grid: use a discrete estimator, such as checkpoint, or timestep_spacing and steps that divide the table"
    )


def no_other_times(traits: ProblemTraits) -> str | None:
    """For solvers that choose their times: refuses what `no_equation` does, and networks that receive other times."""
    if not traits.told:
        return no_equation(traits)
    return no_equation(traits) or (
        "this scheduler gives its network times other than its grid's, which a solver with times of its own cannot "
        "know: use a discrete estimator, such as checkpoint"
    )


def no_reverse_sde(traits: ProblemTraits) -> str | None:
    """Refuses stochastic chains that do not converge to the reverse SDE."""
    if traits.reverse_sde:
        return None
    return (
        "this chain converges to another equation than the reverse SDE (as ddim does with 0 < eta < 1): "
        "use ddpm, sde-dpm1, sde-dpm++1 or euler-maruyama"
    )


def no_point(traits: ProblemTraits, who: str) -> str | None:
    """Refuses pairs of points (copies=both) for `who`, which handles single points only."""
    if not traits.pair:
        return None
    return (
        f"x_T and the sample of copies=both are pairs of points, which {who} does not support: "
        "use checkpoint or reversible"
    )


def no_step_target(traits: ProblemTraits) -> str | None:
    """Refuses the targets of single steps."""
    asked = of_steps(traits.targets)
    if not asked:
        return None
    return (
        f"it gives no gradient of {', '.join(asked)}: use backprop, checkpoint, revolve, reversible or one of the "
        "continuous adjoints"
    )


def no_detached(detach: str, traits: ProblemTraits) -> str | None:
    """Refuses ranges at whose noisy end the held output `detach` and x do not determine x_0."""
    if detach == "eps" and traits.alpha_T <= 0:
        return "eps does not determine x_0 at alpha = 0, the noisy end: use detach=v"
    return None


def no_leap(detach: str, traits: ProblemTraits) -> str | None:
    """Refuses chains from whose states no DDIM step can be taken with the network's output `detach` held."""
    if traits.reversible:
        return "leaps start from the point at which the network is evaluated: this sampler carries two copies"
    return no_detached(detach, traits) or no_equation(traits)


def no_known_noise(law: str, branch: str, traits: ProblemTraits) -> str | None:
    """Refuses pairs for `srpo`, and steps of the chain up to alpha = 0, where nothing of the sample is left."""
    if law == "chain" and branch != "denoise" and traits.alpha_T <= 0:
        return "a step of law=chain up to alpha = 0 leaves nothing of the sample: use branch=denoise, or law=released"
    return no_point(traits, "srpo")
