"""Recoveries: how the state before step k comes back while the cotangent travels from x_0 to x_T.

A recovery runs the chain without a tape and returns a `Trajectory`, which is asked for states in falling order of k.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from torch import Tensor

from gradbench.estimators.ambient import Ambient
from gradbench.samplers.base import Interval, State
from gradbench.samplers.rollout import Rollout


class Trajectory(ABC):
    """The chain that was run. `last` is the state after its last step, `ambient` the circumstances of each step."""

    last: State
    ambient: Ambient

    @abstractmethod
    def at(self, k: int, proposal: State | None = None) -> State:
        """The state before step k, 0 <= k <= N (N: after the last step), asked for in falling order.

        proposal: that state as a pullback's own backward solve arrives at it, for the recovery that has none better.
        """


class Recovery(ABC):
    """Runs the chain from its start state, under `no_grad`, and keeps what it will need."""

    @abstractmethod
    def run(self, rollout: Rollout, state: State) -> Trajectory:
        """The trajectory from the state at grid[0]."""


@dataclass
class _Stored(Trajectory):
    states: list[State]
    ambient: Ambient

    @property
    def last(self) -> State:  # type: ignore[override]
        return self.states[-1]

    def at(self, k: int, proposal: State | None = None) -> State:
        return self.states[k]


@dataclass(frozen=True)
class Stored(Recovery):
    """Every state is kept: N + 1 states, no tape, no extra evaluation."""

    def run(self, rollout: Rollout, state: State) -> Trajectory:
        ambient, states = Ambient(), [state]
        for k in range(rollout.steps):
            with ambient.record(k):
                states.append(rollout.step(k, states[-1]))
        return _Stored(states, ambient)


@dataclass
class _Resolved(Trajectory):
    rollout: Rollout
    start: Tensor
    last: State
    ambient: Ambient
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
        """The state before step k by the chain's own rule, run from grid[k + 1] to grid[k]."""
        rollout, grid = self.rollout, self.rollout.grid
        interval = Interval(rollout.chart, grid[k + 1], grid[k])
        with self.ambient.replay(k):
            return rollout.rule.step(rollout.field, state, interval)


@dataclass(frozen=True)
class Resolved(Recovery):
    """Only the last state is kept; the others are solved for backwards, and differ from those that were visited."""

    def run(self, rollout: Rollout, state: State) -> Trajectory:
        ambient, start = Ambient(), state[0]
        for k in range(rollout.steps):
            with ambient.record(k):
                state = rollout.step(k, state)
        return _Resolved(rollout, start, state, ambient)
