"""Why a Monte Carlo estimator cannot use the transitions of a chain; no torch."""

from gradbench.problems.traits import ProblemTraits


def no_density(traits: ProblemTraits) -> str | None:
    """Refuses samplers whose transitions have no density, which score functions need."""
    if not traits.stochastic:
        return "a deterministic sampler has no transition density: use a stochastic one, such as ddim[eta=1]"
    if traits.reversible:
        return "both copies of a reversible sampler move by one draw: its transitions have no density"
    return None


def no_sub_chain(h: int, traits: ProblemTraits) -> str | None:
    """Refuses h > N - 2: a sub-chain of h steps must leave room for the step after it and the last step."""
    most = max(traits.steps - 2, 0)
    if h > most:
        return f"h must be <= {most}, the sampler's {traits.steps} steps minus two, got {h}"
    return no_density(traits)


def no_mean(traits: ProblemTraits) -> str | None:
    """Refuses what `no_density` does, and multistep samplers: adjoint matching needs a state of one point."""
    many = "adjoint matching is for samplers whose state is one point" if traits.multistep else None
    return no_density(traits) or many


def no_deterministic_step(traits: ProblemTraits) -> str | None:
    """Refuses stochastic samplers, and those whose state is more than one point, for ODE adjoint matching."""
    if traits.stochastic:
        return "ode-adjoint-matching is for deterministic samplers: use adjoint-matching"
    if traits.history or traits.reversible:
        return "ode-adjoint-matching is for samplers whose state is one point, such as ddim"
    return None


def no_window(window: int | None, at: int | None, traits: ProblemTraits) -> str | None:
    """Refuses windows beyond the chain, and samplers whose noise cannot be left out of a step."""
    if window is None:
        return None
    if window + (at or 0) > traits.steps:
        return f"window + at must be <= the sampler's {traits.steps} steps, got {window + (at or 0)}"
    if traits.reverse_sde and traits.stochastic:
        return "a window needs a sampler whose noise can be set to zero: use flow-sde, dance-sde, cps or precise"
    return None


def no_last_step(traits: ProblemTraits) -> str | None:
    """Refuses reversible samplers: DRaFT-LV takes the last step from a single point, the renoised sample."""
    return "draft-lv starts from one point: this sampler carries two copies" if traits.reversible else None
