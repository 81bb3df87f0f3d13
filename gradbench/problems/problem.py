"""A problem: everything that an estimator may see, and the references that its answer is compared with."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.denoiser import Denoiser
from gradbench.diffusion.grid import range_of
from gradbench.diffusion.noise import RecordedNoise
from gradbench.diffusion.precision import precision_of
from gradbench.diffusion.wiener import LEVELS
from gradbench.problems.gradients import Gradient, Gradients
from gradbench.problems.spec import TARGETS
from gradbench.problems.step_leaves import StepLeaves
from gradbench.problems.steps import check_target, of_steps, ordered
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.rollout import Rollout
from gradbench.samplers.spec import SamplerSpec
from gradbench.samplers.steered import Steering

Objective = Callable[[Tensor], Tensor]  # (b, *x) -> (b): one value per sample; L is their sum


def check_targets(
    targets: Sequence[str], available: Sequence[str] = TARGETS, steps: int | None = None
) -> tuple[str, ...]:
    """The targets given, in the order x_T, condition, parameters, then those of steps (see `problems.steps`).

    `ValueError` for none, an unknown one, or a state beyond the `steps` of the chain.
    """
    if not isinstance(targets, Sequence):
        raise UsageError(f"targets must be names of {', '.join(available)}, got {targets!r}")
    given = (targets,) if isinstance(targets, str) else tuple(targets)
    for name in given:
        check_target(name, available, steps)
    if not given:
        raise UsageError(f"targets must name at least one of {', '.join(available)}, got {targets!r}")
    return ordered(given)


def traits_of(sampler: SamplerSpec, rollout: Rollout, targets: Sequence[str], x_T: Tensor) -> ProblemTraits:
    """The traits of a chain from x_T and of the targets; the dtype is that of the network."""
    dtype = precision_of(getattr(rollout.denoiser, "network", rollout.denoiser), x_T.dtype)
    return ProblemTraits(
        **sampler.traits,
        **range_of(rollout.denoiser.schedule, rollout.grid),
        steps=rollout.steps,
        targets=list(targets),
        dtype=str(dtype).removeprefix("torch."),
    )


class Expectation(NamedTuple):
    """The gradient of E[L] over the step noises, mean (b, d) and covariance (d, d) of x_0 given x_T, and E[L]."""

    grads: Gradients
    mean: Tensor
    covariance: Tensor
    value: float


class Answers(Protocol):
    """The source of the right answers of a problem: the package `gradbench.references`."""

    def flow_gradient(self, problem: "Problem") -> Gradients | None: ...

    def path_gradient(self, problem: "Problem", levels: int) -> Gradients | None: ...

    def sampler_gradient(self, problem: "Problem") -> Gradients: ...

    def expected_gradient(self, problem: "Problem", of: str) -> Gradients | None: ...

    def expectation(self, problem: "Problem", of: str) -> Expectation | None: ...


@dataclass
class Problem:
    """Differentiate L = sum_b objective(x_0)_b through `rollout`, from x_T, with respect to `targets`.

    x_T (b, *x); condition and parameters are the leaves that the denoiser reads, shared by the batch, so that their
    gradients are sums over it. `flow`, if the exact flow is known, maps x_T to x_0 on a tape that reaches the same
    leaves. draws: the default number for Monte Carlo estimators. reference_dtype: the precision of references; float32
    for networks where float64 would take too long or too much memory.
    """

    answers: ClassVar[Answers | None] = None  # set by gradbench.references, a higher layer

    denoiser: Denoiser
    sampler: SamplerSpec
    steps: int
    t_max: float
    t_min: float
    x_T: Tensor
    objective: Objective
    targets: tuple[str, ...]
    condition: Tensor | None = None
    parameters: tuple[Tensor, ...] = ()
    seed: int = 0
    noise: Tensor | str = "keyed"
    draws: int = 1024
    flow: Callable[["Problem", Tensor], Tensor] | None = None
    reference_dtype: torch.dtype = torch.float64
    rollout: Rollout = field(init=False)
    step_leaves: StepLeaves = field(init=False)

    def __post_init__(self) -> None:
        self.steps = checks.positive_integer("steps", self.steps)
        held = {"x_T": True, "condition": self.condition is not None, "parameters": bool(self.parameters)}
        self.targets = check_targets(self.targets, [name for name in TARGETS if held[name]], self.steps)
        for leaf in (self.condition, *self.parameters):
            if leaf is not None:
                leaf.requires_grad_(
                    "condition" in self.targets if leaf is self.condition else "parameters" in self.targets
                )
        self.rollout = self._chain(self.noise)
        self.step_leaves = StepLeaves()
        if of_steps(self.targets):
            own = self.rollout.noise
            noises = None if own is None else [own(k) for k in range(self.steps)]
            self.step_leaves = StepLeaves.of(self.targets, self.steps, self.x_T, noises)
            self.rollout = self._chain(self.noise, self.step_leaves.steering)
            if self.step_leaves.noises is not None:
                self.rollout = replace(self.rollout, noise=RecordedNoise(self.step_leaves.noises))

    def _chain(self, noise: Tensor | str, steering: Steering | None = None) -> Rollout:
        ends = (self.t_max, self.t_min)
        return self.sampler.rollout(self.denoiser, self.steps, *ends, self.x_T, self.seed, noise, steering=steering)

    @property
    def traits(self) -> ProblemTraits:
        """The argument of an estimator's `supports`."""
        return traits_of(self.sampler, self.rollout, self.targets, self.x_T)

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """The condition, if there is one, and the parameters, whether or not their gradient is wanted."""
        return (*(() if self.condition is None else (self.condition,)), *self.parameters)

    def of(self, target: str) -> tuple[Tensor, ...]:
        """The tensors of a target; none for an unknown name."""
        condition = () if self.condition is None else (self.condition,)
        held = {"x_T": (self.x_T,), "condition": condition, "parameters": self.parameters}
        return held[target] if target in held else self.step_leaves.of_target(target)

    @property
    def wrt(self) -> tuple[Tensor, ...]:
        """The leaves besides x_T whose gradient is wanted: condition, parameters, then the rows of step targets."""
        condition = (self.condition,) if "condition" in self.targets and self.condition is not None else ()
        parameters = self.parameters if "parameters" in self.targets else ()
        return (*condition, *parameters, *self.step_leaves.wrt)

    def gradients(self, x_T: Tensor | None, wrt: Sequence[Tensor | None]) -> Gradients:
        """Gradients by target, from that of x_T and those of `wrt`; those that are None are absent."""
        rest, rows = list(wrt), self.step_leaves.wrt
        of_rows = dict(zip(map(id, rows), rest[len(rest) - len(rows) :], strict=True))
        rest = rest[: len(rest) - len(rows)]
        found: dict[str, Gradient | None] = {"x_T": x_T if "x_T" in self.targets else None}
        if "condition" in self.targets:
            found["condition"] = rest.pop(0)
        if any(g is not None for g in rest):
            pairs = zip(rest, self.parameters, strict=True)
            found["parameters"] = tuple(torch.zeros_like(p) if g is None else g for g, p in pairs)
        found |= self.step_leaves.gradients(of_rows)
        return Gradients((name, value) for name, value in found.items() if value is not None)

    def differentiate(self, sample: Callable[[Tensor], Tensor]) -> tuple[Gradients, Tensor, float]:
        """Gradients of L(sample(x_T)), x_0 and L, by automatic differentiation of a `sample` that is on the tape."""
        kept: list[Tensor] = []

        def value(x_T: Tensor) -> Tensor:
            kept.append(sample(x_T))
            return self.objective(kept[0]).sum()

        grads, number = self.differentiate_value(value)
        return grads, kept[0].detach(), number

    def differentiate_value(self, value: Callable[[Tensor], Tensor]) -> tuple[Gradients, float]:
        """Gradients of value(x_T), a scalar on the tape, and the scalar."""
        x_T = self.x_T.detach().requires_grad_("x_T" in self.targets)
        with torch.enable_grad():
            result = value(x_T)
        checks.differentiable("the objective", result)
        inputs = [x_T, *self.wrt] if x_T.requires_grad else list(self.wrt)
        grads = list(torch.autograd.grad(result, inputs, allow_unused=True))
        return self.gradients(grads.pop(0) if x_T.requires_grad else None, grads), result.item()

    @property
    def _asked(self) -> Answers:
        """Who answers; `RuntimeError` in a program that has not imported `gradbench.references`."""
        if self.answers is None:
            raise RuntimeError("the references of a problem are provided by gradbench.references: import it first")
        return self.answers

    def flow_gradient(self) -> Gradients | None:
        """Gradient of L of the exact flow, see `gradbench.references.flow`; None if unknown."""
        return self._asked.flow_gradient(self)

    def path_gradient(self, levels: int = LEVELS) -> Gradients | None:
        """Gradient of L of the exact reverse SDE on this problem's Wiener path, resolved into 2^levels cells."""
        return self._asked.path_gradient(self, levels)

    def sampler_gradient(self) -> Gradients:
        """Gradient of L of the chain as run, at its noises, see `gradbench.references.sampler`."""
        return self._asked.sampler_gradient(self)

    def expected_gradient(self, of: str = "sampler") -> Gradients | None:
        """Gradient of E[L] over the step noises, see `gradbench.references.expected`; None if unknown."""
        return self._asked.expected_gradient(self, of)

    def expectation(self, of: str = "sampler") -> Expectation | None:
        """The same, with the moments of x_0 given x_T and the value of E[L]."""
        return self._asked.expectation(self, of)

    def to(self, dtype: torch.dtype) -> "Problem":
        """A copy whose values are this problem's, already rounded, in another floating type."""
        noise, own = self.noise, self.rollout.noise
        if own is not None:
            noise = torch.stack([own(k).detach() for k in range(self.steps)]).to(dtype)
        return self.mapped(lambda t: t.to(dtype) if t.is_floating_point() else t, noise)

    def mapped(self, change: Callable[[Tensor], Tensor], noise: Tensor | str) -> "Problem":
        """A copy with change(tensor) for every tensor of the network, objective and leaves; sharing is preserved."""
        modules = [part for part in (self.denoiser, self.objective) if isinstance(part, nn.Module)]
        held = [leaf for m in modules for part in m.modules() for leaf in tree_leaves(vars(part))]
        memo: dict[int, Any] = {}
        for tensor in (*held, self.x_T, *self.leaves):
            if isinstance(tensor, Tensor) and id(tensor) not in memo:
                new = change(tensor.detach())
                new = nn.Parameter(new, False) if isinstance(tensor, nn.Parameter) else new
                memo[id(tensor)] = new.requires_grad_(tensor.requires_grad)
        names = ("denoiser", "objective", "condition", "parameters", "x_T")
        return replace(self, **{name: copy.deepcopy(getattr(self, name), memo) for name in names}, noise=noise)
