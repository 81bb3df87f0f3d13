"""A completed chain and the states recovered from it; no torch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from gradbench.samplers.base import State

if TYPE_CHECKING:
    from torch import Tensor

    from gradbench.estimators.ambient import Ambient
    from gradbench.samplers.rollout import Rollout


class Trajectory(ABC):
    """A completed chain. last: the state after its last step. ambient: what each step depends on besides its arguments.

    visited: whether the recovered states are those of the forward pass, so that recomputed steps can be compared with
    the original ones.
    """

    visited: ClassVar[bool] = True
    rollout: "Rollout"
    last: State
    ambient: "Ambient"

    def step(self, k: int, state: State, wrt: "Sequence[Tensor]") -> State:
        """The state after step k, on the current tape, from the state that `at(k)` gave."""
        return self.rollout.step(k, state)

    def arrive(self, found: State, start: State) -> None:  # noqa: B027
        """Called at the end of a backward pass with the state before step 0, as recovered and as given by x_T."""

    @abstractmethod
    def at(self, k: int, proposal: State | None = None) -> State:
        """The state before step k, 0 <= k <= N (N: after the last step); called in decreasing order of k.

        proposal: this state from the pullback's own backward solve, for recoveries that have nothing better.
        """
