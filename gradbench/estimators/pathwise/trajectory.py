"""A chain that was run, and the states that come back from it. No torch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from gradbench.samplers.base import State

if TYPE_CHECKING:
    from torch import Tensor

    from gradbench.estimators.ambient import Ambient
    from gradbench.samplers.rollout import Rollout


class Trajectory(ABC):
    """A chain that was run. `last` is the state after its last step, `ambient` the circumstances of each step.

    visited: whether the states that it brings back are those that were visited, so that the steps between them can be
    compared with those that were taken.
    """

    visited: ClassVar[bool] = True
    rollout: "Rollout"
    last: State
    ambient: "Ambient"

    def step(self, k: int, state: State, wrt: "Sequence[Tensor]") -> State:
        """Step k from the state that `at` gave for it, on the tape that is being recorded."""
        return self.rollout.step(k, state)

    def arrive(self, found: State, start: State) -> None:  # noqa: B027
        """At the end of a backward pass: the state before step 0 as it came back, and as x_T gives it."""

    @abstractmethod
    def at(self, k: int, proposal: State | None = None) -> State:
        """The state before step k, 0 <= k <= N (N: after the last step), asked for in falling order.

        proposal: that state as a pullback's own backward solve arrives at it, for the recovery that has none better.
        """
