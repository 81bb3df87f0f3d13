"""Recoveries: how the state before step k is recovered while the cotangent is carried from x_0 back to x_T.

A recovery runs the chain without a tape and returns a `Trajectory`, which gives the states in decreasing order of k. No
torch: refusals are checked before a chain exists.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from gradbench.estimators.pathwise.trajectory import Trajectory
from gradbench.estimators.refusals import no_equation
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.base import State
from gradbench.samplers.catalogue import SAMPLERS

if TYPE_CHECKING:
    from gradbench.estimators.ambient import Ambient
    from gradbench.samplers.rollout import Rollout


class Recovery(ABC):
    """Runs the chain from its start state, under `no_grad`, and keeps what the backward pass will need.

    name: the value of the option `trajectory`. memory: how its storage grows with N, see `EstimatorTraits`. between:
    whether it gives states at times between grid points. visited: whether its states are those of the forward pass.
    """

    name: ClassVar[str]
    memory: ClassVar[str]
    between: ClassVar[bool] = False
    visited: ClassVar[bool] = True

    def refuses(self, traits: ProblemTraits) -> str | None:
        """Why it cannot recover the states of a chain, or None."""
        return None

    @abstractmethod
    def run(self, rollout: "Rollout", state: State) -> Trajectory:
        """The trajectory from the state at grid[0]."""


def watched(rollout: "Rollout") -> "Ambient":
    """The `Ambient` of a chain, made before its first step."""
    from gradbench.estimators.ambient import Ambient

    return Ambient(rollout.denoiser)


@dataclass
class _Stored(Trajectory):
    rollout: "Rollout"
    states: list[State]
    last: State
    ambient: "Ambient"

    def at(self, k: int, proposal: State | None = None) -> State:
        if k == self.rollout.steps:
            return self.last
        return tuple(s.to(self.last[0].device, non_blocking=True) for s in self.states[k])


@dataclass(frozen=True)
class Stored(Recovery):
    """Every state is kept: N + 1 states, no tape, no extra evaluation. offload: a device on which to keep them instead.

    If the chain already runs on that device, nothing is copied.
    """

    name = "stored"
    memory = "linear"
    offload: str | None = None

    def run(self, rollout: "Rollout", state: State) -> Trajectory:
        ambient, states = watched(rollout), list[State]()
        for k in range(rollout.steps):
            states.append(tuple(s.to(self.offload) for s in state) if self.offload else state)
            with ambient.record(k):
                state = rollout.step(k, state)
        return _Stored(rollout, states, state, ambient)


def last_state(rollout: "Rollout", state: State, ambient: "Ambient") -> State:
    """The state after the last step; intermediate states are not kept."""
    for k in range(rollout.steps):
        with ambient.record(k):
            state = rollout.step(k, state)
    return state


@dataclass
class _Resolved(Trajectory):
    visited = False
    rollout: "Rollout"
    last: State
    ambient: "Ambient"
    _state: State = field(init=False)

    def __post_init__(self) -> None:
        self._state = self.last

    def at(self, k: int, proposal: State | None = None) -> State:
        if k == self.rollout.steps:
            self._state = self.last
        elif proposal is not None:
            self._state = proposal
        else:
            self._state = self._back(k, self._state)
        return self._state

    def _back(self, k: int, state: State) -> State:
        """The state before step k, by the chain's own rule from grid[k + 1] back to grid[k]."""
        rollout = self.rollout
        with self.ambient.replay(k):
            return rollout.rule.step(rollout.field, state, rollout.interval(k).reversed)


@dataclass(frozen=True)
class Resolved(Recovery):
    """Only the last state is kept; the others are solved for backwards and differ from those of the forward pass."""

    name = "resolved"
    memory = "constant"
    between = True
    visited = False

    def refuses(self, traits: ProblemTraits) -> str | None:
        blind = "a stochastic chain cannot be solved backwards without its noise: use trajectory=stored"
        return no_equation(traits) or (blind if traits.stochastic else None)

    def run(self, rollout: "Rollout", state: State) -> Trajectory:
        ambient = watched(rollout)
        return _Resolved(rollout, last_state(rollout, state, ambient), ambient)


@dataclass(frozen=True)
class Inverted(Recovery):
    """Only the last state is kept; each step is undone, then differentiated using the evaluations of its inverse.

    A backward pass therefore evaluates the network as often as the forward pass did. The states differ from those of
    the forward pass by rounding errors, which grow in the backward direction; see each rule.
    """

    name = "inverted"
    memory = "constant"
    visited = False

    def refuses(self, traits: ProblemTraits) -> str | None:
        if not traits.reversible:
            able = [name for name, entry in SAMPLERS.items() if entry.traits.reversible]
            return f"this sampler's steps have no inverse: use one of {', '.join(able)}"
        return no_equation(traits)

    def run(self, rollout: "Rollout", state: State) -> Trajectory:
        from gradbench.estimators.pathwise.inverted import Undone

        ambient = watched(rollout)
        return Undone(rollout, last_state(rollout, state, ambient), ambient)
