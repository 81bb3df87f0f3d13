"""The options, promises and refusals of the continuous adjoints; no torch."""

from gradbench import checks
from gradbench.diffusion.chart import CHARTS, refuses
from gradbench.estimators.pathwise.recoveries import RECOVERIES, check_recovery, recovery_of
from gradbench.estimators.pathwise.recovery import Recovery
from gradbench.estimators.refusals import no_equation, no_point, no_reverse_sde
from gradbench.estimators.traits import EstimatorTraits
from gradbench.problems.steps import of_steps
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.rules import RULES
from gradbench.selector import Options

ADAPTIVE = "dopri5"  # the rule that chooses its own steps
ORDERS = {**{name: rule.order for name, rule in RULES.items()}, ADAPTIVE: None}


def check_adjoint(options: Options) -> None:
    """Checks the options of a continuous adjoint; those that it does not have are skipped."""
    allowed = {"chart": CHARTS, "rule": ORDERS, "trajectory": RECOVERIES}
    for name, values in allowed.items():
        if name in options:
            checks.one_of(name, options[name], values)
    if options.get("steps") is not None:
        checks.positive_integer("steps", options["steps"])
    for name in ("rtol", "atol"):
        if name in options:
            checks.in_range(name, options[name], 1e-16, 1.0)
    check_recovery(options)


def check_adjoint_dpm(options: Options) -> None:
    """Checks AdjointDPM's options: the noise or data chart, on stored or re-solved states."""
    check_adjoint(options)
    checks.one_of("trajectory", options["trajectory"], ("stored", "resolved"))
    checks.one_of("chart", options["chart"], ("noise", "data"))


def check_adjoint_deis(options: Options) -> None:
    """Checks AdjointDEIS's options: the published orders 1 and 2, on stored or re-solved states."""
    check_adjoint(options)
    checks.one_of("trajectory", options["trajectory"], ("stored", "resolved"))
    checks.one_of("order", options["order"], (1, 2))


def declare_adjoint(options: Options) -> EstimatorTraits:
    """The order of the adjoint's rule and the memory of its recovery.

    With a fixed number of backward steps there is no order in N. AdjointDEIS on re-solved states has order 1, that of
    DDIM, which solves for those states.
    """
    resolved = options["trajectory"] == "resolved"
    order = min(options["order"], 1 if resolved else 2) if "order" in options else ORDERS[options["rule"]]
    memory = RECOVERIES[options["trajectory"]].memory
    return EstimatorTraits(order=order if options["steps"] is None else None, memory=memory)


def refuse_adjoint(options: Options, traits: ProblemTraits) -> str | None:
    """Why a continuous adjoint with these options cannot serve a problem, or None."""
    recovery = recovery_of(options["trajectory"])
    return (
        recovery.refuses(traits)
        or refuse_equation(options.get("chart", "noise"), options["steps"], recovery, traits)
        or refuse_steps(options["steps"], traits)
    )


def refuse_steps(steps: int | None, traits: ProblemTraits) -> str | None:
    """Refuses the targets of single steps where the backward grid omits times of the chain's grid."""
    asked = of_steps(traits.targets)
    if not asked or steps is None or steps % traits.steps == 0:
        return None
    return (
        f"{', '.join(asked)} need a backward solve that stops at every step: steps must be a multiple of N, got {steps}"
    )


def refuse_equation(chart: str, steps: int | None, recovery: Recovery, traits: ProblemTraits) -> str | None:
    """Why the adjoint equation cannot be solved in a chart with this number of backward steps, or None.

    The equation involves only times and positions, and its chart must be finite at both ends of the time range.
    """
    reason = no_equation(traits) or no_point(traits, "a continuous adjoint")
    if traits.stochastic:
        reason = reason or no_reverse_sde(traits)
    reason = reason or refuses(f"{chart}-sde" if traits.stochastic else chart, traits)
    if reason:
        return reason
    if chart == "data" and traits.sigma_0 <= 0:
        return "the adjoint in the data chart starts from 0 at sigma = 0, the clean end; the angle chart does not"
    if steps is not None and steps > traits.steps and not recovery.between:
        return (
            f"backward steps must be <= the sampler's {traits.steps} steps, got {steps}: "
            "states between its times are known with trajectory=resolved only"
        )
    return None
