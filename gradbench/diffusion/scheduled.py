"""A condition that is piecewise constant in time."""

import copy
from collections.abc import Sequence

from torch import Tensor

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.denoiser import Denoiser, Prediction


class Scheduled(Denoiser):
    """A denoiser whose condition is conditions[i] for edges[i - 1] >= t > edges[i].

    conditions: (pieces, *condition), a leaf with a separate gradient per piece. edges: pieces - 1 times that decrease
    from noise to data; at an edge, the piece below it applies. The gradient of a piece is the adjoint's quadrature over
    its times. The sensitivity at t of Blasingame and Liu, 2024, arXiv:2405.15020, theorem 2.2, is the sum over all
    pieces below t: the derivative with respect to a shift of the condition from t onwards. Raises `ValueError` for
    edges that do not decrease or do not fit, for conditions of the wrong shape and for a denoiser without a condition.
    """

    def __init__(self, denoiser: Denoiser, conditions: Tensor, edges: Sequence[float]) -> None:
        held = getattr(denoiser, "condition", None)
        if not isinstance(denoiser, Denoiser) or held is None:
            raise UsageError(f"denoiser must be a gradbench.Denoiser with a condition, got {type(denoiser).__name__}")
        super().__init__(denoiser.schedule)
        if not isinstance(conditions, Tensor) or conditions.ndim != held.ndim + 1 or conditions.shape[1:] != held.shape:
            shape = tuple(conditions.shape) if isinstance(conditions, Tensor) else type(conditions).__name__
            raise UsageError(f"conditions must have shape (pieces, {', '.join(map(str, held.shape))}), got {shape}")
        ends = [self.schedule.t_end, *(checks.finite("edge", edge) for edge in edges), 0.0]
        falling = all(a > b for a, b in zip(ends, ends[1:], strict=False))
        if len(edges) != len(conditions) - 1 or not falling:
            raise UsageError(
                f"edges must be {len(conditions) - 1} decreasing times between {len(conditions)} pieces, inside "
                f"(0, {self.schedule.t_end:g}), got {list(edges)}"
            )
        self.affine, self.clean, self.rowwise = denoiser.affine, denoiser.clean, denoiser.rowwise
        self.sampler, self.why_no_sampler = denoiser.sampler, denoiser.why_no_sampler
        self.conditions, self.edges = conditions, tuple(edges)
        self._base = copy.copy(denoiser)
        self._base._parameters = {k: v for k, v in denoiser._parameters.items() if k != "condition"}

    def predict(self, x: Tensor, t: float) -> Prediction:
        piece = sum(t <= edge for edge in self.edges)
        vars(self._base)["condition"] = self.conditions[piece]
        self._base.copies = self.copies
        return self._base.predict(x, t)
