"""Correct estimators that keep few states, each with its own growth of memory: the memory check must pass them all.

gradbench check gradbench.testing.sparing:EveryThird
"""

import math
from dataclasses import dataclass, field

from gradbench.estimators.ambient import Ambient
from gradbench.estimators.pathwise.binomial import Binomial
from gradbench.estimators.pathwise.pathwise import Pathwise
from gradbench.estimators.pathwise.pullback import Pullback, Transpose
from gradbench.estimators.pathwise.recovery import Recovery
from gradbench.estimators.pathwise.trajectory import Trajectory
from gradbench.samplers.base import State
from gradbench.samplers.rollout import Rollout


@dataclass
class _Spaced(Trajectory):
    rollout: Rollout
    gap: int
    ambient: Ambient
    kept: dict[int, State] = field(default_factory=dict)
    segment: dict[int, State] = field(default_factory=dict)
    last: State = ()

    def at(self, k: int, proposal: State | None = None) -> State:
        if k == self.rollout.steps:
            return self.last
        if k not in self.segment:
            start = k - k % self.gap
            state = self.kept.pop(start)
            self.segment = {start: state}
            for j in range(start, k):
                with self.ambient.replay(j):
                    state = self.segment[j + 1] = self.rollout.step(j, state)
        return self.segment.pop(k)


@dataclass(frozen=True)
class Spaced(Recovery):
    """Keeps every `gap`-th state (default: every ceil(sqrt(N))-th) and recomputes the others one segment at a time."""

    name = "stored"
    gap: int | None = None

    def run(self, rollout: Rollout, state: State) -> Trajectory:
        found = _Spaced(rollout, self.gap or math.ceil(math.sqrt(rollout.steps)), Ambient(rollout.denoiser))
        for k in range(rollout.steps):
            if k % found.gap == 0:
                found.kept[k] = state
            with found.ambient.record(k):
                state = rollout.step(k, state)
        found.last = state
        return found


@dataclass(frozen=True)
class LogSnapshots(Recovery):
    """Revolve with as many snapshots as N has binary digits."""

    name = "binomial"

    def run(self, rollout: Rollout, state: State) -> Trajectory:
        return Binomial(rollout.steps.bit_length()).run(rollout, state)


@dataclass(frozen=True)
class EveryThird(Pathwise):
    """Every third state is stored: linear memory, a third of a state per step."""

    recovery: Recovery = Spaced(3)
    pullback: Pullback = Transpose()
    traits = {"exact": True, "memory": "linear"}


@dataclass(frozen=True)
class EveryTwentieth(EveryThird):
    """Every twentieth state is stored: still linear, a twentieth of a state per step."""

    recovery: Recovery = Spaced(20)


@dataclass(frozen=True)
class RootSegments(Pathwise):
    """Segments of sqrt(N) steps: Chen et al., 2016, arXiv:1604.06174, section 4.1."""

    recovery: Recovery = Spaced()
    pullback: Pullback = Transpose()
    traits = {"exact": True, "memory": "sqrt"}


@dataclass(frozen=True)
class Logarithmic(Pathwise):
    """log N snapshots by revolve: Griewank and Walther, 2000, ACM TOMS 26, section 2."""

    recovery: Recovery = LogSnapshots()
    pullback: Pullback = Transpose()
    traits = {"exact": True, "memory": "log"}
