"""Those who look on while a denoiser is evaluated: a forward pass that notes, a backward pass that compares."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

Watch = Callable[[Tensor, float, Any, Tensor], None]  # of x, t, the prediction and the field's value at (x, t)


class Watches:
    """The watches of one denoiser; an object of its own, because who looks on is no setting of the denoiser."""

    def __init__(self) -> None:
        self._all: tuple[Watch, ...] = ()

    @contextlib.contextmanager
    def by(self, watch: Watch) -> Iterator[None]:
        """Context in which `watch` is called after every evaluation of a field."""
        before = self._all
        self._all = (*before, watch)
        try:
            yield
        finally:
            self._all = before

    def see(self, x: Tensor, t: float, prediction: Any, value: Tensor) -> None:
        """Call with every evaluation."""
        for watch in self._all:
            watch(x, t, prediction, value)
