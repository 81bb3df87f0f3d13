"""Plans: which evaluations of a chain contribute to each sample's gradient, with which weight, and by which way back.

Step k = 0 is the noisiest, N - 1 the cleanest. If lambda = dL/dx_0 is carried back through each step by C_k in place of
the Jacobian J_k = A_k + B_k dO/dx, where O is the network's output, every truncated method and every surrogate is

    g = sum_k w_k (dF_k/d theta)^T C_{k+1}^T ... C_{N-1}^T lambda,     C_k in {J_k, A_k + a w_k B_k dO/dx, A_k, 0}.

A_k is what passes around the network; it depends on the output that is detached (`diffusion.detached`). The gradient
is stopped at the network's input (C_k = A_k, w_k = 1), at its output (C_k = A_k, w_k = 0), or altogether (C_k = 0); a
share a of it may pass through the input.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from gradbench.diffusion.grid import Grid
from gradbench.diffusion.schedule import Schedule
from gradbench.problems.traits import ProblemTraits


class Chain(Protocol):
    """What a plan may depend on: a `Rollout`."""

    @property
    def steps(self) -> int: ...

    @property
    def grid(self) -> Grid: ...

    @property
    def schedule(self) -> Schedule: ...


@dataclass(frozen=True)
class Leaps:
    """Two leaps in place of the steps of a chain, from its state `first` to its state `middle` and on to its end.

    A leap from s to e is x_e = A x_s + sum_i q_i O_i, with the outputs O_i at states of the chain that was run. carry
    (N, n) is A at the first step of a leap and 1 elsewhere; gain (N, n) is q_i. first, middle (n): indices of states.
    floor: the cotangent of a sample is divided by max(d_middle, floor) + max(d_end, floor), d the mean absolute
    distance between the end of a leap and the state of the chain there; None for no such weight.
    """

    carry: np.ndarray
    gain: np.ndarray
    first: np.ndarray
    middle: np.ndarray
    floor: float | None = None


@dataclass(frozen=True)
class Plan:
    """The way back of each of n samples.

    active (N, n): the weight w of step k's network evaluation in the gradient, 0 if its output is detached. alive
    (N, n): False if the cotangent is cut before it crosses step k. through (N, n): the share of the cotangent that also
    passes through the network's input, 1 for J_k and 0 for A_k. stop (n): N, or the index of the state whose x0_hat is
    the sample. scale (N): a factor on the gradients of the shared leaves from step k. scale_x_T: a factor on the
    gradient of x_T, None if it is not to be reached. detach: the output that is detached. mask: whether weights between
    0 and 1 are the expectation of a random mask. leaps: what replaces the steps, if anything. law: the distribution
    that the plan was drawn from, if any.
    """

    active: np.ndarray
    alive: np.ndarray
    through: np.ndarray
    stop: np.ndarray
    scale: np.ndarray
    scale_x_T: float | None = 1.0
    detach: str = "eps"
    mask: bool = False
    leaps: Leaps | None = None
    law: "PlanDistribution | None" = None

    @property
    def reaches(self) -> bool:
        """Whether every leaf that any draw of its distribution reaches is reached by this plan: no step is left out."""
        return self.law is None or not self.law.random or bool((self.active * self.alive).any(1).all())

    @property
    def first(self) -> int:
        """The first active step, N if there is none; states and gradients of the network are needed from there on."""
        used = np.asarray((self.active * self.alive).any(1))
        return int(np.argmax(used)) if used.any() else len(used)

    @property
    def reaches_x_T(self) -> bool:
        """Whether the cotangent of some sample reaches x_T, that is, no step on its way cuts it."""
        before = np.arange(len(self.alive))[:, None] < self.stop
        return self.scale_x_T is not None and bool((self.alive | ~before).all(0).any())

    def of(self, columns: np.ndarray) -> "Plan":
        """The plan for these of its samples, which may be repeated."""

        def taken(whole: "Plan | Leaps", names: tuple[str, ...]) -> dict[str, np.ndarray]:
            return {name: getattr(whole, name)[..., columns] for name in names}

        leaps = self.leaps and replace(self.leaps, **taken(self.leaps, ("carry", "gain", "first", "middle")))
        return replace(self, **taken(self, ("active", "alive", "through", "stop")), leaps=leaps)


@dataclass(frozen=True)
class PlanDistribution(ABC):
    """A distribution of plans, one plan per sample. detach: the output that its plans detach.

    random: whether two draws can differ. quadratic: whether the estimate is a quadratic function of the noises where
    the chain is affine and the objective quadratic.
    """

    random = True
    quadratic = True
    detach: str = field(default="eps", kw_only=True)

    def refuses(self, traits: ProblemTraits) -> str | None:
        """Why it has no plan for a chain, or None."""
        return None

    @abstractmethod
    def draw(self, chain: Chain, samples: int, random: np.random.Generator) -> Plan:
        """Plans for `samples` samples of a chain."""

    @abstractmethod
    def mixture(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        """Every plan for one sample: the probabilities (n), and the plans as those of n samples.

        `ValueError` if they are too many, or their probabilities unknown.
        """

    def costs(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        """A mixture with the same expected number of evaluations; by default all plans."""
        return self.mixture(chain)

    @abstractmethod
    def reaches_x_T(self, steps: int) -> bool:
        """Whether any of its plans for a chain of N = `steps` steps reaches x_T."""

    def plan(self, active: np.ndarray, alive: np.ndarray, **options: object) -> Plan:
        """A plan (N, n) with this output detached; by default the way back is J_k, to the end of the chain."""
        steps, samples = active.shape
        defaults = {
            "through": np.ones((steps, samples)),
            "stop": np.full(samples, steps),
            "scale": np.ones(steps),
            "detach": self.detach,
            "law": self,
        }
        return Plan(active.astype(float), alive, **{**defaults, **options})  # type: ignore[arg-type]
