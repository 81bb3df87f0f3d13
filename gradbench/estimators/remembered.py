"""Evaluations of a forward pass that its backward pass makes again, remembered so that both can be compared.

A continuous adjoint takes no step of the chain again, but where the states are kept it evaluates the network at some of
them anyway. The two earliest tell a network that answers from a cache: one of them at least came from what was asked
before it, and the backward pass asks for them last. The latest is where a network listens most to its prompt.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gradbench.diffusion.denoiser import Denoiser, NetworkDenoiser, NetworkPrediction
from gradbench.estimators.ambient import Ambient
from gradbench.estimators.contents import refuse
from gradbench.estimators.replay import Replay
from gradbench.samplers.base import State
from gradbench.samplers.rollout import Rollout


class Remembered:
    """The network's last answers at some of the grid's times, with the points at which it was asked."""

    def __init__(self, denoiser: Denoiser, grid: Sequence[float], steps: Sequence[int]) -> None:
        self._denoiser, self._schedule = denoiser, denoiser.schedule
        asked = sorted(steps)
        self._steps = {grid[k]: k for k in (*asked[:2], asked[-1])}
        self._kept: dict[float, tuple[Tensor, Tensor]] = {}

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Context of the forward pass."""

        def note(x: Tensor, t: float, prediction: Any, value: Tensor) -> None:
            if t in self._steps and isinstance(prediction, NetworkPrediction):
                self._kept[t] = x.detach(), prediction.value.detach()

        with self._denoiser.watches.by(note):
            yield

    @contextlib.contextmanager
    def comparing(self, ambient: Ambient) -> Iterator[None]:
        """Context of the backward pass: an evaluation at a point that is remembered must give the same answer.

        `RuntimeError` at its end if one does not. A network that draws random numbers gives others.
        """
        witness = Replay(ambient.unit)
        if self._denoiser.schedule is not self._schedule:  # what a network answers may not depend on it
            refuse(["schedule"])

        def compare(x: Tensor, t: float, prediction: Any, value: Tensor) -> None:
            if t in self._kept and not ambient.random:
                with torch.no_grad():
                    point, answer = self._kept[t]
                    witness.compare_answer(self._steps[t], prediction.value, answer, x, point)

        with self._denoiser.watches.by(compare):
            yield
        witness.check()


def asks_at_its_state(rollout: Rollout, start: State) -> bool:
    """Whether a step asks a network first at the point from which it starts; the network is not evaluated."""
    asked: list[bool] = []

    def probe(t: float, x: Tensor) -> Tensor:
        asked.append(t == rollout.grid[0] and x is start[0])
        return torch.zeros_like(x)

    if isinstance(rollout.denoiser, NetworkDenoiser):
        rollout.rule.step(probe, start, rollout.interval(0))
    return asked[:1] == [True]
