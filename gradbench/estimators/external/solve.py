"""A chain that another library solves and differentiates, as one node of the tape, with the checks that it lacks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gradbench.diffusion.denoiser import Denoiser
from gradbench.estimators.hooks import silenced
from gradbench.estimators.leaves import Reach
from gradbench.estimators.pathwise.pathwise import refuse_second_order
from gradbench.estimators.settings import Settings


def solved(solve: Callable[[Tensor], Tensor], denoiser: Denoiser, x_T: Tensor, reach: Reach) -> Tensor:
    """solve(x_T), whose backward pass is the library's.

    `RuntimeError` in a backward pass that is recorded, if settings have changed since the forward pass, or if demanded
    leaves are not reached.
    """
    return _Solved.apply(solve, Settings(denoiser, reach.leaves.public), reach, x_T, *reach.leaves)  # type: ignore[return-value]


class _Solved(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, solve: Callable[[Tensor], Tensor], settings: Settings, reach: Reach, x_T: Tensor, *wrt: Tensor
    ) -> Tensor:
        ctx.x = x_T.detach().requires_grad_(x_T.requires_grad)
        with torch.enable_grad():
            ctx.end = solve(ctx.x)
        settings.settle()
        ctx.settings, ctx.reach = settings, reach
        ctx.save_for_backward(x_T, *wrt)  # saved so that an in-place change before the backward pass is an error
        return ctx.end.detach()

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        refuse_second_order()
        _, *wrt = ctx.saved_tensors
        ctx.settings.refuse_changes()
        wanted = [leaf for leaf in (ctx.x, *wrt) if leaf.requires_grad]
        with silenced(wrt):
            grads = torch.autograd.grad(ctx.end, wanted, cotangent, allow_unused=True, retain_graph=True)
        ctx.reach.check()
        found = iter(grads)
        return None, None, None, *(next(found) if leaf.requires_grad else None for leaf in (ctx.x, *wrt))
