"""What moves the single steps of a chain in `gradbench.sample`: noises, controls and states that may be optimised."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.noise import RecordedNoise
from gradbench.problems.steps import NOISES
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.spec import SamplerSpec
from gradbench.samplers.steered import Steering

CONTROLS = ("velocity", "eps")


@dataclass(frozen=True)
class Moved:
    """The tensors given, (N, b, *x) each, by name; their rows are the leaves, so that a step reaches its own alone.

    steering: what is added to the steps, or None. targets: those whose gradient is asked for.
    """

    given: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    unbound: Mapping[str, Sequence[Tensor]] = field(default_factory=dict[str, Sequence[Tensor]])

    @staticmethod
    def of(
        spec: SamplerSpec,
        noise: Tensor | str,
        controls: Tensor | Mapping[str, Tensor] | None,
        states: Tensor | None,
        steps: int,
        x_T: Tensor,
    ) -> "Moved":
        """`ValueError` for other shapes, unknown controls, and a noise that the sampler does not draw."""
        kinds = {"velocity": controls} if isinstance(controls, Tensor) else dict(controls or {})
        for kind in kinds:
            checks.one_of("control", kind, CONTROLS)
        given = {f"controls[{kind}]": rows for kind, rows in kinds.items()}
        if states is not None:
            given["controls[state]"] = states
        if isinstance(noise, Tensor) and noise.requires_grad:
            if not spec.traits.stochastic:
                raise UsageError(
                    f"noise requires a gradient, and sampler {spec.name} draws none: use a stochastic one, such as "
                    "ddim[eta=1], or detach it"
                )
            given[NOISES] = noise
        for name, rows in given.items():
            said = {"controls[state]": "states", NOISES: "noise"}.get(name, name)
            checks.tensor(said, rows)
            checks.shape(said, rows.shape, (steps, *x_T.shape))
        return Moved(given, {name: rows.to(x_T.device, x_T.dtype).unbind(0) for name, rows in given.items()})

    @property
    def steering(self) -> Steering | None:
        """What is added to the steps."""
        if not any(name != NOISES for name in self.given):
            return None
        return Steering(*(self.unbound.get(f"controls[{kind}]", ()) for kind in ("state", "velocity", "eps")))

    @property
    def targets(self) -> list[str]:
        """The names whose gradient is asked for."""
        return [name for name, rows in self.given.items() if rows.requires_grad]

    @property
    def rows(self) -> dict[str, Tensor]:
        """The leaves of single steps, by name."""
        asked = {name: self.unbound[name] for name in self.targets}
        return {f"row {k} of {name}": row for name, rows in asked.items() for k, row in enumerate(rows)}

    def onto(self, rollout: Rollout) -> Rollout:
        """The chain with the rows of the noise as its noises."""
        if NOISES not in self.given:
            return rollout
        return replace(rollout, noise=RecordedNoise(self.unbound[NOISES]))

    def without(self, wrt: Iterable[Tensor]) -> list[Tensor]:
        """`wrt` without the tensors that are leaves by their rows."""
        known = {id(rows) for rows in self.given.values()}
        return [leaf for leaf in wrt if id(leaf) not in known]
