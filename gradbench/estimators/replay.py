"""Checks that a recomputed step reproduces the original step, by comparing their states.

Let x_k be the state before step k, x_{k+1} the state after it, and x'_{k+1} the recomputed value. The bound is

    |x'_{k+1} - x_{k+1}| <= u^(1/2) |x_{k+1} - x_k| + 64 u_x |x_{k+1}|

in the maximum norm. Here u is the unit roundoff of the network's arithmetic, so half of its digits may be lost (2.4e-4
for float32, 2.2e-2 for float16 and TF32, 6.3e-2 for bfloat16, 1.1e-8 for float64), relative to the length of the step;
u_x is the unit roundoff of the state. Kernels that differ only in the order of summation stay far below the bound; a
different prompt, scale, adapter or mode, or a cached feature, exceeds it. The comparison stays on the device and is
read once, at the end of a backward pass.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradbench.diffusion.denoiser import Denoiser
from gradbench.samplers.base import State

ROUNDOFF = {torch.float64: 2.0**-53, torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
TF32 = 2.0**-11
DRIFT = {torch.float64: 1e-6, torch.float32: 1e-2}  # allowed relative error of a chain run backwards, maximum norm


class Replay:
    """The comparisons of one backward pass. unit: the unit roundoff of the network's arithmetic.

    Two numbers are kept, on the device: the largest excess over the bound, and its step.
    """

    def __init__(self, unit: float) -> None:
        self.share = unit**0.5
        self.worst: Tensor | None = None
        self.step: Tensor | None = None

    def compare(self, k: int, again: State, taken: State, before: State = (), rows: Tensor | None = None) -> None:
        """Step k: compares the state `again` with the original `taken`. before: the state before the step, if known.

        rows: the samples to compare, None for all.
        """
        with torch.no_grad():
            for i, (new, old) in enumerate(zip(again, taken, strict=True)):
                start = before[i] if i < len(before) else None
                if rows is not None:
                    new, old, start = new[rows], old[rows], None if start is None else start[rows]
                if new.numel():
                    self._note(k, new, old, start)

    def compare_answer(self, k: int, new: Tensor, old: Tensor, asked: Tensor, point: Tensor) -> None:
        """In step k, compares the network's answer with one remembered, if it is asked at the same point.

        Whether it is stays on the device, too.
        """
        excess = self._excess(new, old, None)
        self._keep(k, torch.where(_distance(asked, point) == 0, excess, torch.full_like(excess, -torch.inf)))

    def _note(self, k: int, new: Tensor, old: Tensor, start: Tensor | None) -> None:
        self._keep(k, self._excess(new, old, start))

    def _excess(self, new: Tensor, old: Tensor, start: Tensor | None) -> Tensor:
        size = _largest(old)
        length = size if start is None else _distance(old, start)
        return _distance(new, old) - self.share * length - 64 * ROUNDOFF.get(old.dtype, 0.0) * size

    def _keep(self, k: int, excess: Tensor) -> None:
        here = torch.full_like(excess, k)
        if self.worst is None or self.step is None:
            self.worst, self.step = excess, here
        else:
            self.step = torch.where(excess > self.worst, here, self.step)
            self.worst = torch.maximum(excess, self.worst)

    def check(self) -> None:
        """`RuntimeError` naming the step with the largest excess, if any step exceeds the bound."""
        if self.worst is not None and self.step is not None and self.worst.item() > 0:
            raise RuntimeError(
                f"step {int(self.step.item())} gives a different state when it is repeated for the backward pass: what "
                "the network reads was changed in between, or it answers from a cache (DeepCache, PAB, TeaCache, "
                "first-block) or draws from its own random generator; switch that off, or use gradient='backprop'"
            )


def unit_of(denoiser: Denoiser) -> float:
    """The unit roundoff of a network's arithmetic under the current autocast and TF32 settings."""
    parameters = [p for p in denoiser.parameters() if p.is_floating_point()]
    units = [ROUNDOFF.get(p.dtype, ROUNDOFF[torch.bfloat16]) for p in parameters]
    for device in {p.device.type for p in parameters}:
        if device in ("cpu", "cuda") and torch.is_autocast_enabled(device):
            units.append(ROUNDOFF[torch.get_autocast_dtype(device)])
        if device == "cuda" and (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32):
            units.append(TF32 if max(units) >= ROUNDOFF[torch.float32] else 0.0)
    return max(units, default=ROUNDOFF[torch.float64])


def refuse_drift(found: Sequence[Tensor], start: Sequence[Tensor]) -> None:
    """`RuntimeError` if a chain that is run backwards does not return to where it started."""
    for back, old in zip(found, start, strict=True):
        off, size, allowed = _distance(back, old).item(), _largest(old).item(), DRIFT.get(old.dtype, 1e-2)
        if off > allowed * size:
            raise RuntimeError(
                f"the inverted steps arrive {off / size:.1e} off x_T (relative; allowed: {allowed:g}): the network was "
                "changed or answers from a cache, or rounding grew too large over this chain; use a state in float64, "
                "more damping or fewer steps, or gradient='checkpoint'"
            )


def _largest(tensor: Tensor) -> Tensor:
    return torch.linalg.vector_norm(tensor, torch.inf)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vector_norm(a - b, torch.inf)
