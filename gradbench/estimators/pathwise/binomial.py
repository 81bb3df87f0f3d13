"""The binomial recovery (revolve): a few states are kept, and the others are recomputed from them.

With s snapshots, including the start, and each step repeated at most r times, chains of up to

    beta(s, r) = (s + r)! / (s! r!)

steps can be reversed. No schedule with s snapshots takes fewer steps than r N - beta(s + 1, r - 1), where r is the
smallest number with N <= beta(s, r). References: Griewank and Walther, 2000, Algorithm 799, ACM TOMS 26, section 2.
"""

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

from gradbench.estimators.pathwise.recovery import Recovery, watched
from gradbench.estimators.pathwise.trajectory import Trajectory
from gradbench.samplers.base import State

if TYPE_CHECKING:
    from gradbench.estimators.ambient import Ambient
    from gradbench.samplers.rollout import Rollout


def beta(snapshots: int, repeats: int) -> int:
    """(s + r)! / (s! r!), the number of steps that can be reversed; 0 if either argument is negative."""
    return comb(snapshots + repeats, snapshots) if min(snapshots, repeats) >= 0 else 0


def repetitions(steps: int, snapshots: int) -> int:
    """r: the smallest number of repetitions with steps <= beta(snapshots, r)."""
    r = 0
    while beta(snapshots, r) < steps:
        r += 1
    return r


def advances(steps: int, snapshots: int) -> int:
    """The fewest steps without a tape in which `steps` steps can be reversed: r N - beta(s + 1, r - 1)."""
    r = repetitions(steps, snapshots)
    return r * steps - beta(snapshots + 1, r - 1)


def next_snapshot(steps: int, snapshots: int) -> int:
    """The number of steps to the next snapshot, if `steps` steps remain to be reversed and `snapshots` are left.

    Any distance m with m <= beta(s, r - 1) and steps - m <= beta(s - 1, r) keeps the cost of both parts minimal.
    """
    r = repetitions(steps, snapshots)
    return min(beta(snapshots, r - 1), steps - beta(snapshots - 1, r - 1))


@dataclass
class _Binomial(Trajectory):
    rollout: "Rollout"
    snapshots: int
    ambient: "Ambient"
    kept: list[tuple[int, State]]
    last: State = ()
    newest: State | None = None  # the state before the last step, until the backward pass takes it

    def at(self, k: int, proposal: State | None = None) -> State:
        if k == self.rollout.steps:
            return self.last
        state, self.newest = self.newest, None
        if state is not None and k == self.rollout.steps - 1:
            return state
        while self.kept[-1][0] > k:
            self.kept.pop()
        return self.advance(k)

    def advance(self, k: int) -> State:
        """The state before step k, recomputed from the nearest snapshot; stores further snapshots on the way."""
        place, state = self.kept[-1]
        while place < k:
            free = self.snapshots - len(self.kept)
            goal = place + next_snapshot(k + 1 - place, free + 1) if free else k
            for j in range(place, goal):
                with self.ambient.replay(j):
                    state = self.rollout.step(j, state)
            if free:
                self.kept.append((goal, state))
            place = goal
        return state


@dataclass(frozen=True)
class Binomial(Recovery):
    """At most `snapshots` states are kept at a time, including the start; the others are recomputed."""

    name = "binomial"
    memory = "constant"
    snapshots: int = 5

    def run(self, rollout: "Rollout", state: State) -> Trajectory:
        trajectory = _Binomial(rollout, self.snapshots, watched(rollout), [(0, state)])
        marks, place, n = set[int](), 0, rollout.steps
        for used in range(1, self.snapshots):
            if n - place > 1:
                place += next_snapshot(n - place, self.snapshots - used + 1)
                marks.add(place)
        for k in range(n):
            if k in marks:
                trajectory.kept.append((k, state))
            trajectory.newest = state
            with trajectory.ambient.record(k):
                state = rollout.step(k, state)
        trajectory.last = state
        return trajectory
