"""The recoveries, by the value of the option `trajectory`; no torch."""

from gradbench import checks
from gradbench.estimators.pathwise.binomial import Binomial
from gradbench.estimators.pathwise.recovery import Inverted, Recovery, Resolved, Stored
from gradbench.selector import Options

RECOVERIES: dict[str, type[Recovery]] = {kind.name: kind for kind in (Stored, Resolved, Binomial, Inverted)}


def recovery_of(trajectory: str, snapshots: int = Binomial.snapshots) -> Recovery:
    """The recovery with this name; `snapshots` applies to the binomial one only."""
    return Binomial(snapshots) if trajectory == Binomial.name else RECOVERIES[trajectory]()


def check_recovery(options: Options) -> None:
    """Checks the number of snapshots and the device for stored states."""
    if "snapshots" in options:
        checks.positive_integer("snapshots", options["snapshots"])
    if options.get("offload") is not None:
        checks.one_of("offload", options["offload"], ("cpu",))
