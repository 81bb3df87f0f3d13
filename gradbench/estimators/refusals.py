"""Reasons to refuse a chain that estimators of several kinds share; no torch."""

from gradbench.problems.traits import ProblemTraits


def no_equation(traits: ProblemTraits) -> str | None:
    """A chain whose steps do not tile its range solves no equation."""
    if traits.tiled:
        return None
    return (
        "this scheduler's steps do not end where the next ones begin, so that the chain solves no equation on its "
        "grid: use a discrete estimator, as checkpoint, or timestep_spacing and steps that divide the table"
    )


def no_other_times(traits: ProblemTraits) -> str | None:
    """A solver with times of its own needs an equation, and a network that is told what the schedule says of a time."""
    if not traits.told:
        return no_equation(traits)
    return no_equation(traits) or (
        "this scheduler tells its network other times than its grid's, which a solver that asks at times of its own "
        "cannot know: use a discrete estimator, as checkpoint"
    )


def no_reverse_sde(traits: ProblemTraits) -> str | None:
    """Equations of a stochastic chain are those of the reverse SDE."""
    if traits.reverse_sde:
        return None
    return (
        "this chain converges to another equation than the reverse SDE (as ddim does with 0 < eta < 1): "
        "use ddpm, sde-dpm1, sde-dpm++1 or euler-maruyama"
    )


def no_point(traits: ProblemTraits, who: str) -> str | None:
    """Where x_T and the sample are pairs, `who` knows nothing of pairs."""
    if not traits.pair:
        return None
    return (
        f"x_T and the sample of copies=both are pairs of points, of which {who} knows nothing: "
        "use checkpoint or reversible"
    )
