"""Autocast, the random state of each step and the denoiser's settings: what a step depends on besides its arguments.

A step that is taken again, to be differentiated, must see the autocast that the forward pass ran under, and where the
network draws random numbers (dropout) the same ones, as torch.utils.checkpoint has it. Random states are kept only for
steps that did draw. Settings that were changed in between are refused.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from gradbench.diffusion.denoiser import Denoiser
from gradbench.estimators.replay import Replay, unit_of
from gradbench.estimators.settings import Settings

DEVICES = ("cpu", "cuda")


def _states() -> list[Tensor]:
    devices = [torch.cuda.get_rng_state()] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *devices]


def _restore(states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)


class Ambient:
    """Recorded by the forward pass, a step at a time; replayed by the backward pass."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.settings, self.unit = Settings(denoiser), unit_of(denoiser)
        self.autocast = {d: (torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in DEVICES}
        self.random: dict[int, list[Tensor]] = {}

    @contextlib.contextmanager
    def record(self, k: int) -> Iterator[None]:
        """Around step k of the forward pass."""
        before = _states()
        yield
        if any(not torch.equal(old, new) for old, new in zip(before, _states(), strict=True)):
            self.random[k] = before

    def settle(self) -> None:
        """At the end of the forward pass."""
        self.settings.settle()

    def witness(self) -> Replay:
        """At the beginning of the backward pass: what compares its steps with those of the forward pass. `RuntimeError`
        where the denoiser's settings are others.
        """
        self.settings.refuse_changes()
        return Replay(self.unit)

    @contextlib.contextmanager
    def replay(self, k: int | None = None) -> Iterator[None]:
        """Around step k taken again; outside of any step (None) only autocast is restored."""
        with contextlib.ExitStack() as stack:
            for device, (enabled, dtype) in self.autocast.items():
                if (
                    enabled != torch.is_autocast_enabled(device)
                    or enabled
                    and dtype != torch.get_autocast_dtype(device)
                ):
                    stack.enter_context(torch.autocast(device, dtype=dtype, enabled=enabled))
            if k not in self.random:
                yield
                return
            outside = _states()
            _restore(self.random[k])
            try:
                yield
            finally:
                _restore(outside)
