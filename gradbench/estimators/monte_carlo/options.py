"""The options of the Monte Carlo estimators, and the traits that these declare; no torch."""

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.estimators.traits import EstimatorTraits
from gradbench.selector import Options


def check_draws(options: Options) -> None:
    """Checks whichever of these options an estimator has; `ValueError` for a value that is not allowed."""
    if "index" in options:
        checks.one_of("index", options["index"], ("end", "start"))
    for name in ("draws", "k", "n", "window", "h"):
        if options.get(name) is not None:
            checks.positive_integer(name, options[name])
    if options.get("baseline") is not None:
        checks.one_of("baseline", options["baseline"], ("none", "mean", "loo"))
    checks.natural("early", options.get("early", 0))
    if options.get("baseline") == "loo" and options.get("draws") == 1:
        raise UsageError("baseline=loo needs at least 2 draws to leave one out, got draws=1")
    for name, low in {"clip": 1e-12, "advantage_clip": 1e-12, "stale": 0.0, "c": 1e-12}.items():
        if options.get(name) is not None:
            checks.in_range(name, options[name], low, 1e6)
    for name, values in {"statistics": ("prompt", "group"), "scale": ("released", "summed")}.items():
        if name in options:
            checks.one_of(name, options[name], values)


def check_ddpo(options: Options) -> None:
    """The options of `ddpo`."""
    check_draws(options)
    checks.one_of("ratio", options["ratio"], ("released", "guard"))
    if options["at"] is not None:
        checks.natural("at", options["at"])
        if options["window"] is None:
            raise UsageError(f"at is the place of a window, got {options['at']!r} without one: give window too")


def check_forward_process(options: Options) -> None:
    """The options of the losses on the forward process."""
    check_draws(options)
    checks.one_of("law", options["law"], ("grid", "stratified", "uniform"))
    checks.positive_integer("times", options["times"])
    for name in ("beta", "strength"):
        if name in options:
            checks.in_range(name, options[name], 1e-6, 1e6)
    if "weight" in options:
        checks.one_of("weight", options["weight"], ("uniform", "t", "t2", "huber", "ghuber", "memoryless"))


def check_value(options: Options) -> None:
    """The options of `vgg-flow`."""
    check_draws(options)
    checks.one_of("eta", options["eta"], ("quadratic", "linear", "constant"))
    checks.one_of("jacobian", options["jacobian"], (False, True))
    checks.one_of("law", options["law"], ("all", "released"))


def check_direct_align(options: Options) -> None:
    """The options of `srpo`."""
    check_draws(options)
    for name, values in {"branch": ("both", "denoise", "inversion"), "weight": (None, "alpha")}.items():
        checks.one_of(name, options[name], values)
    if checks.one_of("law", options["law"], ("released", "chain")) == "released" and options["weight"] is not None:
        raise UsageError(f"weight is an option of law=chain, got {options['weight']!r} with law=released")
    checks.in_range("shift", options["shift"], 1e-6, 1e6)


def declare_draws(options: Options) -> EstimatorTraits:
    """Whether an option biases the estimator: a truncation, a baseline with the draw itself, a shifted adjoint."""
    unbiased = {"law": "unbiased", "index": "end"}
    biased = any(options[name] != value for name, value in unbiased.items() if name in options)
    return EstimatorTraits(biased=biased or options.get("baseline") == "mean")
