"""Why a Monte Carlo estimator cannot use the transitions of a chain; no torch."""

from gradbench.problems.traits import ProblemTraits


def no_density(traits: ProblemTraits) -> str | None:
    """Score functions need the densities of transitions."""
    if not traits.stochastic:
        return "a deterministic sampler has no transition density: use a stochastic one, as ddim[eta=1]"
    if traits.reversible:
        return "both copies of a reversible sampler move by one draw: its transitions have no density"
    return None


def no_sub_chain(h: int, traits: ProblemTraits) -> str | None:
    """The half-order sub-chain of h steps lies between the first step and the last."""
    most = max(traits.steps - 2, 0)
    if h > most:
        return f"h must be <= {most}, the sampler's {traits.steps} steps less two, got {h}"
    return no_density(traits)


def no_mean(traits: ProblemTraits) -> str | None:
    """Adjoint matching needs the mean of a transition from one point."""
    many = "adjoint matching is for samplers whose state is one point" if traits.multistep else None
    return no_density(traits) or many


def no_last_step(traits: ProblemTraits) -> str | None:
    """DRaFT-LV noises a sample again, and takes its last step from one point."""
    return "draft-lv starts from one point: this sampler carries two copies" if traits.reversible else None
