"""What each family of estimators can take, serve and promise: option checks, refusals and traits, without torch."""

from collections.abc import Mapping
from typing import Any

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.chart import CHARTS, refuses

# the rules of continuous adjoints and the recoveries, each with what it makes of the order and of the memory
RULES = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4, "ab2": 2, "2m": 2, "dopri5": None}
TRAJECTORIES = {"stored": "linear", "resolved": "constant", "binomial": "constant", "inverted": "constant"}
REVERSIBLE = ("reversible-heun", "edict", "bdia", "belm", "rex")
FIXED = {"euler": 1, "midpoint": 2, "heun2": 2, "rk4": 4}  # torchdiffeq's solvers on a given grid, and their orders
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "adaptive_heun")


def check_adjoint(options: Mapping[str, Any]) -> None:
    """Options of the continuous adjoints; those that a method does not have are not looked at."""
    allowed = {"chart": CHARTS, "rule": RULES, "trajectory": TRAJECTORIES}
    for name, values in allowed.items():
        if name in options:
            checks.one_of(name, options[name], values)
    if options.get("steps") is not None:
        checks.positive_integer("steps", options["steps"])
    for name in ("rtol", "atol"):
        if name in options:
            checks.in_range(name, options[name], 1e-16, 1.0)
    check_recovery(options)


def declare_adjoint(options: Mapping[str, Any]) -> dict[str, Any]:
    """The order of the adjoint's rule and the memory of its recovery.

    A number of backward steps that is fixed has no order in N, and AdjointDEIS on re-solved states has that of the DDIM
    by which they are solved for.
    """
    resolved = options["trajectory"] == "resolved"
    order = min(options["order"], 1 if resolved else 2) if "order" in options else RULES[options["rule"]]
    return {"order": order if options["steps"] is None else None, "memory": TRAJECTORIES[options["trajectory"]]}


def declare_torchdiffeq(options: Mapping[str, Any]) -> dict[str, Any]:
    """The order of the method, where it is named and has one, and the memory of the states that are passed."""
    return {"order": FIXED.get(options["method"]), "memory": TRAJECTORIES[options["trajectory"]]}


def declare_draws(options: Mapping[str, Any]) -> dict[str, Any]:
    """The bias that an option brings: of a truncation law, of a baseline with the draw in it, of a shifted adjoint."""
    unbiased = {"law": "unbiased", "index": "end"}
    biased = any(options[name] != value for name, value in unbiased.items() if name in options)
    return {"biased": biased or options.get("baseline") == "mean"}


def check_recovery(options: Mapping[str, Any]) -> None:
    """How states come back: the number of snapshots, and where they are kept."""
    if "snapshots" in options:
        checks.positive_integer("snapshots", options["snapshots"])
    if options.get("offload") is not None:
        checks.one_of("offload", options["offload"], ("cpu",))


def check_adjoint_dpm(options: Mapping[str, Any]) -> None:
    """AdjointDPM lives in the noise and in the data chart, on stored or on re-solved states."""
    check_adjoint(options)
    checks.one_of("trajectory", options["trajectory"], ("stored", "resolved"))
    checks.one_of("chart", options["chart"], ("noise", "data"))


def check_adjoint_deis(options: Mapping[str, Any]) -> None:
    """AdjointDEIS of the orders that are published, on stored or on re-solved states."""
    check_adjoint(options)
    checks.one_of("trajectory", options["trajectory"], ("stored", "resolved"))
    checks.one_of("order", options["order"], (1, 2))


def check_torchdiffeq(options: Mapping[str, Any]) -> None:
    """Methods of torchdiffeq, None for the sampler's own."""
    checks.one_of("trajectory", options["trajectory"], ("stored", "resolved"))
    if options["method"] is not None:
        checks.one_of("method", options["method"], (*FIXED, *ADAPTIVE))
    if options["chart"] is not None:
        checks.one_of("chart", options["chart"], CHARTS)
    checks.one_of("norm", options["norm"], ("seminorm", "rms"))
    for name in ("rtol", "atol"):
        checks.in_range(name, options[name], 1e-16, 1.0)


PAIRS = {  # torchsde's solvers: the interpretation of the noise, and the solver of its adjoint
    "reversible_heun": ("stratonovich", "adjoint_reversible_heun"),
    "midpoint": ("stratonovich", "midpoint"),
    "euler": ("ito", "euler"),
    "milstein": ("ito", "milstein"),
}
CLOCKS = ("uniform-t", "uniform-log-snr")  # grids that are uniform in a clock that torchsde can step in


def check_torchsde(options: Mapping[str, Any]) -> None:
    """Solvers of torchsde, and the chart that the SDE is written in."""
    checks.one_of("method", options["method"], PAIRS)
    checks.one_of("chart", options["chart"], CHARTS)


def refuse_torchsde(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """torchsde solves stochastic differential equations, in steps that are uniform in its clock."""
    if not traits["stochastic"]:
        return "torchsde solves stochastic differential equations: use a stochastic sampler"
    if not traits["reverse_sde"]:
        return OTHER_SDE
    if not traits.get("tiled", True) or traits.get("told"):
        return TOLD if traits.get("tiled", True) else UNTILED
    if traits["grid"] not in CLOCKS:
        return f"torchsde steps uniformly in its clock: use grid={' or grid='.join(CLOCKS)}"
    if traits.get("sigma_0", 1.0) <= 0:
        return "the reverse SDE has no drift in this clock at sigma = 0, the clean end: raise t_min"
    return refuses(f"{options['chart']}-sde", traits)


UNTILED = (
    "this scheduler's steps do not end where the next ones begin, so that the chain solves no equation on its grid: "
    "use a discrete estimator, as checkpoint, or timestep_spacing and steps that divide the table"
)
TOLD = (
    "this scheduler tells its network other times than its grid's, which a solver that asks at times of its own cannot "
    "know: use a discrete estimator, as checkpoint"
)
OTHER_SDE = (
    "this chain converges to another equation than the reverse SDE (as ddim does with 0 < eta < 1): "
    "use ddpm, sde-dpm1, sde-dpm++1 or euler-maruyama"
)


PAIR = "x_T and the sample of copies=both are pairs of points, of which {} knows nothing: use checkpoint or reversible"


def refuse_recovery(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """Only a reversible sampler's states come back by its inverse; a stochastic chain cannot be solved backwards."""
    trajectory = options["trajectory"]
    if trajectory == "inverted" and not traits.get("reversible"):
        return f"this sampler's steps have no inverse: use one of {', '.join(REVERSIBLE)}"
    if not traits.get("tiled", True) and trajectory in ("resolved", "inverted"):
        return UNTILED
    if traits["stochastic"] and trajectory == "resolved":
        return "a stochastic chain cannot be solved backwards without its noise: use trajectory=stored"
    return None


def refuse_score(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """Score functions speak of transitions' densities."""
    if not traits["stochastic"]:
        return "a deterministic sampler has no transition density: use a stochastic one, as ddim[eta=1]"
    if traits.get("reversible"):
        return "both copies of a reversible sampler move by one draw: its transitions have no density"
    return None


def refuse_draft_lv(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """DRaFT-LV noises a sample again, and starts its last step from one point."""
    return "draft-lv starts from one point: this sampler carries two copies" if traits.get("reversible") else None


def refuse_rlr(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """The half-order sub-chain lies between the first step and the last."""
    most = max(traits["steps"] - 2, 0)
    if options["h"] > most:
        return f"h must be <= {most}, the sampler's {traits['steps']} steps less two, got {options['h']}"
    return refuse_score(options, traits)


def refuse_matching(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """Adjoint matching regresses the mean of a transition."""
    return refuse_score(options, traits) or (
        "adjoint matching is for samplers whose state is one point" if traits.get("multistep") else None
    )


def check_draws(options: Mapping[str, Any]) -> None:
    """Options of estimators that draw, by what each has."""
    if "index" in options:
        checks.one_of("index", options["index"], ("end", "start"))
    for name in ("draws", "k", "n", "window", "h"):
        if options.get(name) is not None:
            checks.positive_integer(name, options[name])
    allowed = {"law": ("paper", "released-v1", "released-v2", "unbiased"), "baseline": ("none", "mean", "loo")}
    for name, values in allowed.items():
        if options.get(name) is not None:
            checks.one_of(name, options[name], values)
    checks.natural("early", options.get("early", 0))
    if options.get("baseline") == "loo" and options.get("draws") == 1:
        raise UsageError("baseline=loo needs at least 2 draws to leave one out, got draws=1")
    for name, low in {"clip": 1e-12, "advantage_clip": 1e-12, "stale": 0.0, "c": 1e-12}.items():
        if name in options:
            checks.in_range(name, options[name], low, 1e6)
    for name, values in {"statistics": ("prompt", "group"), "scale": ("released", "summed")}.items():
        if name in options:
            checks.one_of(name, options[name], values)


def refuse_truncated(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """A law that asks for more steps than there are, or presumes a number of them."""
    steps = traits["steps"]
    if traits.get("pair") and ("window" in options or options.get("early")):
        return PAIR.format("the x0_hat of an early stop")
    for name in ("k", "window", "early"):
        if options.get(name) is not None and options[name] > steps:
            return f"{name} must be <= the sampler's {steps} steps, got {options[name]}"
    if options.get("law") == "released-v2" and steps < 40:
        return (
            f"law=released-v2 cuts at int(N(42, 5)) and presumes 50 steps, which {steps} steps never reach: use paper"
        )
    return None


def refuse_reversible(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """`reversible` is the inverted recovery."""
    return refuse_recovery({"trajectory": "inverted"}, traits)


def refuse_adjoint(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """A continuous adjoint sees times and positions only, in a chart that reaches both ends of the range."""
    reason = refuse_recovery(options, traits) or (None if traits.get("tiled", True) else UNTILED)
    if reason:
        return reason
    if traits.get("pair"):
        return PAIR.format("a continuous adjoint")
    if traits["stochastic"] and not traits["reverse_sde"]:
        return OTHER_SDE
    chart = options.get("chart", "noise")
    reason = refuses(f"{chart}-sde" if traits["stochastic"] else chart, traits)
    if reason:
        return reason
    if chart == "data" and traits.get("sigma_0", 1.0) <= 0:
        return "the adjoint in the data chart starts from 0 at sigma = 0, the clean end; the angle chart does not"
    steps = options.get("steps")
    if steps is not None and steps > traits["steps"] and options["trajectory"] != "resolved":
        return (
            f"backward steps must be <= the sampler's {traits['steps']} steps, got {steps}: "
            "states between its times are known with trajectory=resolved only"
        )
    return None


def refuse_torchdiffeq(options: Mapping[str, Any], traits: Mapping[str, Any]) -> str | None:
    """torchdiffeq solves ODEs, with one-step methods or adaptive ones."""
    if not traits.get("tiled", True) or traits.get("told"):
        return TOLD if traits.get("tiled", True) else UNTILED
    if traits.get("pair"):
        return PAIR.format("torchdiffeq")
    if traits["stochastic"]:
        return "torchdiffeq solves ordinary differential equations: use an ODE sampler"
    if options["method"] is None and not traits.get("runge_kutta"):
        return f"torchdiffeq has no method of this sampler's kind: name one of {', '.join((*FIXED, *ADAPTIVE))}"
    return None
