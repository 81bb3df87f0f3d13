"""The noises, the controls and the states of a chain as leaves of a problem."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.problems.steps import NOISES, of_steps, state_index
from gradbench.samplers.steered import Steering


@dataclass(frozen=True)
class StepLeaves:
    """The leaves of a problem's step targets: one row (b, *x) per step that is asked for.

    noises: the chain's own, None if they are no target. The other rows are zeros that are added to the chain.
    """

    targets: tuple[str, ...] = ()
    noises: tuple[Tensor, ...] | None = None
    steering: Steering = field(default_factory=Steering)

    @staticmethod
    def of(targets: Sequence[str], steps: int, x_T: Tensor, noises: Sequence[Tensor] | None) -> "StepLeaves":
        """The leaves for these targets of a chain; `ValueError` for noises of a chain that draws none."""
        asked = tuple(of_steps(targets))
        if NOISES in asked and noises is None:
            raise UsageError("noises is a target of stochastic samplers, such as ddim[eta=1]: this one draws none")
        states = {k for k in map(state_index, asked) if k is not None}
        states |= set(range(steps)) if "controls[state]" in asked else set()

        def zeros(wanted: bool) -> Tensor | None:
            return torch.zeros_like(x_T).requires_grad_() if wanted else None

        return StepLeaves(
            asked,
            tuple(z.detach().clone().requires_grad_() for z in noises or ()) if NOISES in asked else None,
            Steering(
                [zeros(k in states) for k in range(steps + 1)] if states else (),
                *(
                    [zeros(True) for _ in range(steps)] if f"controls[{kind}]" in asked else ()
                    for kind in ("velocity", "eps")
                ),
            ),
        )

    def rows(self, target: str) -> list[Tensor]:
        """The rows of a target."""
        k = state_index(target)
        if target == NOISES:
            return list(self.noises or ())
        if k is not None:
            found = [self.steering.row("state", k)]
        else:
            kind = target.removeprefix("controls[").removesuffix("]")
            held = getattr(self.steering, kind)
            found = list(held[: len(held) - (kind == "state")])
        return [row for row in found if row is not None]

    def of_target(self, target: str) -> tuple[Tensor, ...]:
        """The rows of a target in the shape of its gradient, or nothing if it is none of these."""
        if target not in self.targets:
            return ()
        rows = self.rows(target)
        return (rows[0] if state_index(target) is not None else torch.stack(rows).detach(),)

    @property
    def wrt(self) -> tuple[Tensor, ...]:
        """Every row once."""
        rows = [row for target in self.targets for row in self.rows(target)]
        return tuple({id(row): row for row in rows}.values())

    def gradients(self, found: dict[int, Tensor | None]) -> dict[str, Tensor]:
        """The gradient of every target, from those of the rows by id: (b, *x) of a state, (N, b, *x) of the others."""
        grads: dict[str, Tensor] = {}
        for target in self.targets:
            rows = self.rows(target)
            parts = [torch.zeros_like(row) if found[id(row)] is None else found[id(row)] for row in rows]
            grads[target] = parts[0] if state_index(target) is not None else torch.stack(parts)  # type: ignore
        return grads
