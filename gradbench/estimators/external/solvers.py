"""The options, promises and refusals of the torchdiffeq and torchsde solvers; no torch."""

from gradbench import checks
from gradbench.diffusion.chart import CHARTS, refuses
from gradbench.estimators.pathwise.recoveries import RECOVERIES
from gradbench.estimators.refusals import no_other_times, no_point, no_reverse_sde
from gradbench.estimators.traits import EstimatorTraits
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.rules import ONE_STEP
from gradbench.selector import Options

# torchdiffeq's names for our rules, which step on a given grid, and for its adaptive solvers
FIXED = {"heun2" if name == "heun" else name: rule for name, rule in ONE_STEP.items()}
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "adaptive_heun")
PAIRS = {  # torchsde's solvers: the interpretation of the noise, and the solver of the adjoint
    "reversible_heun": ("stratonovich", "adjoint_reversible_heun"),
    "midpoint": ("stratonovich", "midpoint"),
    "euler": ("ito", "euler"),
    "milstein": ("ito", "milstein"),
}
CLOCKS = ("uniform-t", "uniform-log-snr")  # grids uniform in t or log-SNR, as torchsde needs


def check_torchdiffeq(options: Options) -> None:
    """Checks the options of torchdiffeq's adjoint; method and chart may be None for the sampler's own."""
    checks.one_of("trajectory", options["trajectory"], ("stored", "resolved"))
    if options["method"] is not None:
        checks.one_of("method", options["method"], (*FIXED, *ADAPTIVE))
    if options["chart"] is not None:
        checks.one_of("chart", options["chart"], CHARTS)
    checks.one_of("norm", options["norm"], ("seminorm", "rms"))
    for name in ("rtol", "atol"):
        checks.in_range(name, options[name], 1e-16, 1.0)


def declare_torchdiffeq(options: Options) -> EstimatorTraits:
    """The order of the method, if one with an order is named, and the memory of the trajectory."""
    rule = FIXED.get(options["method"])
    order = None if rule is None else rule.order
    return EstimatorTraits(order=order, memory=RECOVERIES[options["trajectory"]].memory)


def refuse_torchdiffeq(method: str | None, chart: str | None, traits: ProblemTraits) -> str | None:
    """Why torchdiffeq cannot serve a problem, or None: it solves ODEs, by one-step or adaptive methods.

    chart: None for the sampler's. Its clock and field must be finite at both ends.
    """
    reason = no_other_times(traits) or no_point(traits, "torchdiffeq")
    if reason:
        return reason
    if traits.stochastic:
        return "torchdiffeq solves ordinary differential equations: use an ODE sampler"
    if method is None and not traits.runge_kutta:
        return f"torchdiffeq has no method of this sampler's kind: name one of {', '.join((*FIXED, *ADAPTIVE))}"
    own = traits.chart_at_zero if traits.alpha_T <= 0 else None
    used = chart or own or traits.chart or ""
    if used == "data" and traits.sigma_0 <= 0:
        return "the clock of the data chart is infinite at sigma = 0, the clean end: use chart=angle"
    return refuses(used, traits)


def check_torchsde(options: Options) -> None:
    """Checks the solver of torchsde, and the chart in which the SDE is written."""
    checks.one_of("method", options["method"], PAIRS)
    checks.one_of("chart", options["chart"], CHARTS)


def refuse_torchsde(chart: str, traits: ProblemTraits) -> str | None:
    """Why torchsde cannot serve a problem, or None: it solves SDEs, in uniform steps of its clock."""
    if not traits.stochastic:
        return "torchsde solves stochastic differential equations: use a stochastic sampler"
    reason = no_reverse_sde(traits) or no_other_times(traits)
    if reason:
        return reason
    if traits.grid not in CLOCKS:
        return f"torchsde steps uniformly in its clock: use grid={' or grid='.join(CLOCKS)}"
    if traits.sigma_0 <= 0:
        return "the reverse SDE has no drift in this clock at sigma = 0, the clean end: raise t_min"
    return refuses(f"{chart}-sde", traits)
