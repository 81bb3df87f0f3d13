"""The trajectory of the inverted recovery: each state is computed from the next by the inverse of the step."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.estimators.ambient import Ambient
from gradbench.estimators.pathwise.trajectory import Trajectory
from gradbench.estimators.replay import refuse_drift
from gradbench.samplers.base import Field, ReversibleRule, State
from gradbench.samplers.rollout import Rollout


@dataclass
class _Evaluation:
    """One evaluation of the field with its tape: value as a function of the leaf x."""

    x: Tensor
    value: Tensor


class _Reused(torch.autograd.Function):
    """The value of an earlier evaluation at the same point, as a function of x and the leaves."""

    @staticmethod
    def forward(ctx: Any, evaluation: _Evaluation, wrt: Sequence[Tensor], x: Tensor, *leaves: Tensor) -> Tensor:
        ctx.evaluation, ctx.wrt = evaluation, wrt
        return evaluation.value.detach()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        made = ctx.evaluation
        return None, None, *torch.autograd.grad(made.value, (made.x, *ctx.wrt), cotangent, allow_unused=True)


@dataclass
class _Memo:
    """The field; it keeps the evaluations of an inverse, with their tapes, for the step that is then recomputed."""

    field: Field
    made: list[_Evaluation] = dataclasses.field(default_factory=list[_Evaluation])

    def record(self, t: float, x: Tensor) -> Tensor:
        """Evaluates the field for an inverse and keeps the tape."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            self.made.append(_Evaluation(leaf, self.field(t, leaf)))
        return self.made[-1].value.detach()

    def replay(self, parts: int, wrt: Sequence[Tensor]) -> Field:
        """The field for the step: evaluations of the inverse, with its parts in reverse order, then fresh ones."""
        size = len(self.made) // parts
        blocks = [self.made[i * size : (i + 1) * size] for i in reversed(range(parts))]
        waiting = [evaluation for block in blocks for evaluation in block]
        self.made = []

        def reused(t: float, x: Tensor) -> Tensor:
            if not waiting:
                return self.field(t, x)
            made = waiting.pop(0)
            return _Reused.apply(made, wrt, x, *wrt) if made.value.requires_grad else made.value  # type: ignore

        return reused


@dataclass
class Undone(Trajectory):
    """A chain whose steps are undone, starting from the last."""

    visited = False
    rollout: Rollout
    last: State
    ambient: Ambient

    def __post_init__(self) -> None:
        self._memo = _Memo(self.rollout.field)
        self._place, self._state = self.rollout.steps, self.last

    def at(self, k: int, proposal: State | None = None) -> State:
        if k == self.rollout.steps:
            self._place, self._state = k, self.last
        while self._place > k:
            self._place -= 1
            # a pullback that proposes its own state takes no step and needs no tape
            self._undo(self._memo.record if proposal is None else self.rollout.field)
        return self._state

    def arrive(self, found: State, start: State) -> None:
        refuse_drift(found, start)

    def _undo(self, field: Field) -> None:
        k, rule = self._place, self.rollout.rule
        assert isinstance(rule, ReversibleRule)
        if rule.parts > 1 and k in self.ambient.random:
            raise UsageError(
                "the network draws random numbers, and the inverse of this sampler's step draws them in another order: "
                "call eval() on it, or use gradient='checkpoint'"
            )
        self._memo.made.clear()
        with self.ambient.replay(k):
            self._state = rule.inverse(field, self._state, self.rollout.interval(k))

    def step(self, k: int, state: State, wrt: Sequence[Tensor]) -> State:
        rule = self.rollout.rule
        assert isinstance(rule, ReversibleRule)
        return rule.step(self._memo.replay(rule.parts, wrt), state, self.rollout.interval(k))
