"""The description of a case before any of it is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gradbench import checks
from gradbench.checks import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradbench.diffusion.denoiser import Denoiser

TARGETS = ("x_T", "condition", "parameters")
REFERENCES = ("flow", "sampler", "expected")
MEMORYLESS = "memoryless"  # a fourth, for estimators that estimate it whatever the sampler


class Flow(Enum):
    """How a case knows the gradient of its exact flow."""

    CLOSED_FORM = "closed form"
    TRANSPORT = "monotone transport of every coordinate, bracketed Newton solve"
    FINE_SOLVE = "DOP853 in the angle chart, steps doubled until 1e-13"
    NETWORK = "solved twice, where a suite's block has the pass `flow`"


@dataclass(frozen=True)
class Parts:
    """What a case gives a problem, before there is a sampler.

    objective: (b, *x) -> (b), one value per sample. condition, parameters: leaves that the denoiser reads. shape: *x,
    of one sample. flow: (problem, x_T) -> x_0 of the exact flow, if known, on a tape that reaches the same leaves.
    """

    denoiser: "Denoiser"
    objective: "nn.Module"
    condition: "Tensor | None"
    parameters: "tuple[Tensor, ...]"
    shape: tuple[int, ...]
    flow: "Callable[[Any, Tensor], Tensor] | None" = None

    @classmethod
    def of(cls, case: str, made: "Parts | Mapping[str, Any]") -> "Parts":
        """What the `build` of a case returned; a mapping must have the fields as keys, `UsageError` otherwise."""
        if isinstance(made, Parts):
            return made
        if not isinstance(made, Mapping):
            raise UsageError(f"build of case {case} must return Parts, got {type(made).__name__}")
        names = [each.name for each in fields(cls)]
        for key in made:
            checks.one_of(f"part of case {case}", key, names)
        lacking = [name for name in names if name not in made and name != "flow"]
        if lacking:
            raise UsageError(f"build of case {case} returns no {', '.join(lacking)}")
        return cls(**made)


class Build(Protocol):
    """Makes the parts of a problem; a mapping with their names as keys will do."""

    def __call__(
        self, params: Mapping[str, Any], arrays: Mapping[str, Any], seed: int
    ) -> Parts | Mapping[str, Any]: ...


def _nothing(params: Mapping[str, Any]) -> None:
    """Accepts every value."""


@dataclass(frozen=True, kw_only=True)
class CaseSpec:
    """A case, without torch: `SPEC` of its `case.py`.

    Cases that share most of theirs make it by a `functools.partial`, or one from another by `dataclasses.replace`.

    name, summary, citation: as shown in lists and pages. objectives: their names. params: the parameters and their
    defaults; `batch`, `objective`, `t_max` and `t_min` must be among them. build: makes a problem's parts from the
    parameters, explicit arrays and a seed. check: raises `UsageError`, or in a case of your own any `ValueError`, for
    values that it cannot take. arrays: the names of its explicit arrays. targets: those whose gradient it has. grid,
    dtype, noise, draws: the defaults of a problem. dtypes: those in which it can be built. references: which of flow,
    sampler and expected are known. flow: how the flow is known, or None. requires: the distributions that it needs.
    preload: modules that a warm worker imports before it forks. sums: whether objectives may be weighted sums,
    `0.5*jpeg-size+style`. reference_dtype: the precision of references. threads: of a worker, 0 for all cores. weights:
    the description of a network's weights in rows, by parameters and device. sizes: the parameters decided by given
    arrays. task: makes a `gradbench.tasks.task.Task` from a problem and the parameters; a cell of the case optimises.
    """

    name: str
    summary: str
    citation: str
    objectives: tuple[str, ...]
    params: Mapping[str, Any]
    build: Build
    check: Callable[[Mapping[str, Any]], None] = _nothing
    arrays: tuple[str, ...] = ()
    targets: tuple[str, ...] = TARGETS
    grid: str = "uniform-t"
    dtype: str = "float64"
    dtypes: tuple[str, ...] = ("float64", "float32")
    noise: str = "keyed"
    draws: int = 1024
    references: tuple[str, ...] = ("sampler",)
    flow: Flow | str | None = None
    requires: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    sums: bool = False
    reference_dtype: str = "float64"
    threads: int = 1
    weights: Callable[[Mapping[str, Any], str], str | None] | None = None
    sizes: Callable[[Mapping[str, Any]], dict[str, int]] | None = None
    task: Callable[[Any, Mapping[str, Any]], Any] | None = None
    folder: Path = field(default=Path(), compare=False)

    @property
    def flow_method(self) -> str:
        """How the flow is known, in words."""
        return self.flow.value if isinstance(self.flow, Flow) else self.flow or "the case's own"
