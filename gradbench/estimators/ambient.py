"""What a step depends on besides its arguments: autocast, the random state and the denoiser's settings.

A step that is recomputed for differentiation must run under the autocast of the forward pass. If the network draws
random numbers (dropout), it must draw the same ones, as in torch.utils.checkpoint. Random states are kept only for
steps that drew random numbers. Settings that changed in between are refused.
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
    """What the steps depend on besides their arguments, recorded in the forward and replayed in the backward pass."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.settings, self.unit = Settings(denoiser), unit_of(denoiser)
        self.autocast = {d: (torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in DEVICES}
        self.random: dict[int, list[Tensor]] = {}

    @contextlib.contextmanager
    def record(self, k: int) -> Iterator[None]:
        """Context for step k of the forward pass; keeps the random state from before a step that changes it."""
        before = _states()
        yield
        if any(not torch.equal(old, new) for old, new in zip(before, _states(), strict=True)):
            self.random[k] = before

    def settle(self) -> None:
        """Call at the end of the forward pass: settings that this pass changed are not compared."""
        self.settings.settle()

    def witness(self) -> Replay:
        """Call at the start of the backward pass: returns the `Replay` that compares recomputed steps with those of the
        forward pass. `RuntimeError` if the denoiser's settings have changed.
        """
        self.settings.refuse_changes()
        return Replay(self.unit)

    @contextlib.contextmanager
    def replay(self, k: int | None = None) -> Iterator[None]:
        """Context for recomputing step k: restores autocast and random state; outside steps (None), only autocast."""
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
