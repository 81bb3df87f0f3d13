"""Denoisers: whatever predicts the noise or the data at (x, t), in one normal form.

A denoiser's answer is a `Prediction`, which gives x_0, eps, v or the score, whichever the network itself predicts:

    x = alpha x_0 + sigma eps,    v = alpha eps - sigma x_0,    score = -eps / sigma,    flow = eps - x_0.

References: Salimans and Ho, 2022, Progressive distillation, arXiv:2202.00512, section 4 and appendix D (v); Liu et al.,
2023, arXiv:2209.03003, equation 1 (flow, the velocity of rectified flow).
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from gradbench import checks
from gradbench.diffusion.schedule import Schedule, make_schedule

KINDS = ("eps", "x0", "v", "score", "flow")


class Prediction(ABC):
    """What a denoiser says at (x, t): every parametrisation, each a tensor of x's shape (b, *x)."""

    alpha: float
    sigma: float

    @abstractmethod
    def combine(self, w_x0: float, w_eps: float) -> Tensor:
        """w_x0 x_0 + w_eps eps; a weight of zero costs nothing and divides by nothing."""

    @property
    def x0(self) -> Tensor:
        """The predicted clean sample."""
        return self.combine(1.0, 0.0)

    @property
    def eps(self) -> Tensor:
        """The predicted noise."""
        return self.combine(0.0, 1.0)

    @property
    def v(self) -> Tensor:
        """alpha eps - sigma x_0."""
        return self.combine(-self.sigma, self.alpha)

    @property
    def score(self) -> Tensor:
        """grad log p_t(x) = -eps / sigma."""
        return self.combine(0.0, -1.0 / self.sigma)

    @property
    def flow(self) -> Tensor:
        """eps - x_0, the velocity of rectified flow."""
        return self.combine(-1.0, 1.0)


class NetworkPrediction(Prediction):
    """One predicted tensor; x_0 and eps are affine in x and it, so that every combination is c_x x + c_value value."""

    def __init__(self, kind: str, value: Tensor, x: Tensor, alpha: float, sigma: float) -> None:
        self.kind, self.value, self.x, self.alpha, self.sigma = kind, value, x, alpha, sigma

    def combine(self, w_x0: float, w_eps: float) -> Tensor:
        c_x = c_value = 0.0
        for weight, coefficients in ((w_x0, self._x0), (w_eps, self._eps)):
            if weight:
                a, b = coefficients()
                c_x, c_value = c_x + weight * a, c_value + weight * b
        scaled = self.value if c_value == 1.0 else c_value * self.value
        return torch.add(scaled, self.x, alpha=c_x) if c_x else scaled

    def _x0(self) -> tuple[float, float]:
        alpha, sigma, square = self.alpha, self.sigma, self.alpha**2 + self.sigma**2
        if self.kind in ("eps", "score") and alpha == 0:
            raise ValueError("a network that predicts eps has no x_0 at alpha = 0: allowed there are x0 and v")
        return {
            "eps": lambda: (1 / alpha, -sigma / alpha),
            "x0": lambda: (0.0, 1.0),
            "v": lambda: (alpha / square, -sigma / square),
            "score": lambda: (1 / alpha, sigma**2 / alpha),
            "flow": lambda: (1 / (alpha + sigma), -sigma / (alpha + sigma)),
        }[self.kind]()

    def _eps(self) -> tuple[float, float]:
        alpha, sigma, square = self.alpha, self.sigma, self.alpha**2 + self.sigma**2
        if self.kind == "x0" and sigma == 0:
            raise ValueError("a network that predicts x0 has no eps at sigma = 0: allowed there are eps and v")
        return {
            "eps": lambda: (0.0, 1.0),
            "x0": lambda: (1 / sigma, -alpha / sigma),
            "v": lambda: (sigma / square, alpha / square),
            "score": lambda: (0.0, -sigma),
            "flow": lambda: (1 / (alpha + sigma), alpha / (alpha + sigma)),
        }[self.kind]()


class ExactPrediction(Prediction):
    """x_0 and eps each in closed form, evaluated only when asked for: no division at either end of a schedule."""

    def __init__(self, x0: Callable[[], Tensor], eps: Callable[[], Tensor], alpha: float, sigma: float) -> None:
        self._x0, self._eps, self.alpha, self.sigma = x0, eps, alpha, sigma

    def combine(self, w_x0: float, w_eps: float) -> Tensor:
        if w_x0 == 0.0:
            return self._eps() if w_eps == 1.0 else w_eps * self._eps()
        part = self._x0() if w_x0 == 1.0 else w_x0 * self._x0()
        return torch.add(part, self._eps(), alpha=w_eps) if w_eps else part


class Denoiser(nn.Module, ABC):
    """A module of (x, t), x (b, *x) and t a float in [0, 1], that counts its calls.

    `calls` is the number of network evaluations (a guided doubled batch is one); `pulled` how many of them a
    backward pass went through. Subclasses write `predict`. `affine` says that the prediction is affine in x, `rowwise`
    that a sample's is a function of that sample alone, the same for all, so that some may be evaluated without others.
    """

    affine = False
    rowwise = False
    copies = 1

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.calls = 0
        self.pulled = 0

    @abstractmethod
    def predict(self, x: Tensor, t: float) -> Prediction:
        """The prediction at (x, t)."""

    def forward(self, x: Tensor, t: float) -> Prediction:
        self.calls += 1
        with pure_autocast():
            prediction = self.predict(x, t)
        if not isinstance(prediction, Prediction):
            raise ValueError(
                f"predict must return a Prediction, got {type(prediction).__name__}: see NetworkPrediction"
            )
        return prediction

    def field(self, x: Tensor, t: float, weights: tuple[float, float]) -> Tensor:
        """w_x0 x_0 + w_eps eps at (x, t), counted again when a cotangent is pulled back through it."""
        value = self(x, t).combine(*weights)
        if value.requires_grad:
            value.register_hook(self._count_pull)
        return value

    @contextlib.contextmanager
    def repeated(self, copies: int) -> Iterator[None]:
        """Inside, a batch is the samples that conditions are of, `copies` times one after another: x.repeat(copies)."""
        self.copies, before = copies, self.copies
        try:
            yield
        finally:
            self.copies = before

    def _count_pull(self, cotangent: Tensor) -> None:
        self.pulled += 1


class NetworkDenoiser(Denoiser):
    """A network with a time input, a condition shared by the batch, and classifier-free guidance.

    network(x, time, condition, **extra) -> (b, *x), of any `kind` of KINDS; time = schedule.index(t), what networks of
    this schedule are trained on. With guidance w != 1 both predictions come from one doubled batch,

        out = out_null + w (out_condition - out_null)

    (Ho and Salimans, 2022, arXiv:2207.12598, equation 6, with w = 1 for no guidance). A condition is one sample's,
    shared by the batch, or with `batched` has a leading axis of 1 or b. extra, null_extra: what else the network is
    told, as pooled embeddings or class labels: tensors with a leading axis of 1 or b in mappings of any depth, which
    no gradient is asked of. A network without a condition is guided by what it is told. The state stays in its own
    dtype, the network in its own.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule | str,
        *,
        kind: str = "eps",
        condition: Tensor | None = None,
        null_condition: Tensor | None = None,
        guidance: float = 1.0,
        batched: bool = False,
        extra: Mapping[str, Any] | None = None,
        null_extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(make_schedule(schedule))
        self.network = network
        self.extra, self.null_extra = dict(extra or {}), dict(null_extra or extra or {})
        self.batched = batched
        self.kind = checks.one_of("prediction", kind, KINDS)
        self.guidance = checks.finite("guidance", guidance)
        told_apart = bool(null_extra) if condition is None else null_condition is not None
        if guidance != 1.0 and not told_apart:
            raise ValueError(
                f"guidance {guidance!r} needs a condition and a null_condition, or without a condition a null_extra; "
                "without them it must be 1"
            )
        self.condition = condition
        self.null_condition = null_condition

    def predict(self, x: Tensor, t: float) -> Prediction:
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        out = self._network(x, self.schedule.index(t)).to(x.dtype)
        return NetworkPrediction(self.kind, out, x, alpha, sigma)

    def _network(self, x: Tensor, time: float) -> Tensor:
        dtype = next((p.dtype for p in self.network.parameters()), x.dtype)
        batch = x.shape[0]
        at = torch.full((), time, dtype=torch.float32 if dtype != torch.float64 else dtype, device=x.device)
        inputs, extra = x.to(dtype), _told(self.extra, batch, self.copies, dtype, x.device)
        condition = self._expand(self.condition, batch, dtype)
        if self.guidance == 1.0:
            return self.network(inputs, at, condition, **extra)
        null_condition = self._expand(self.null_condition, batch, dtype)
        both = None if condition is None or null_condition is None else torch.cat([null_condition, condition])
        told = tree_map(_doubled, _told(self.null_extra, batch, self.copies, dtype, x.device), extra)
        null, conditional = self.network(torch.cat([inputs, inputs]), at, both, **told).chunk(2)
        return null + self.guidance * (conditional - null)

    def _expand(self, condition: Tensor | None, batch: int, dtype: torch.dtype) -> Tensor | None:
        if condition is None:
            return None
        if self.batched:
            condition = _of_copies(condition, self.copies)
        own = condition.shape[1:] if self.batched else condition.shape
        return condition.to(dtype).expand(batch, *own)


def _of_copies(told: Tensor, copies: int) -> Tensor:
    """What one row a sample is told, for every copy of the samples; one row for all stays one."""
    return told if copies == 1 or told.shape[0] == 1 else told.repeat(copies, *[1] * (told.ndim - 1))


def _told(
    extra: Mapping[str, Any], batch: int, copies: int, dtype: torch.dtype, device: torch.device
) -> dict[str, Any]:
    """What else the network is told, for every sample of a batch; whole numbers keep their type."""

    def expand(tensor: Any) -> Any:
        if not isinstance(tensor, Tensor):
            return tensor
        moved = _of_copies(tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype), copies)
        return moved.expand(batch, *tensor.shape[1:])

    return tree_map(expand, dict(extra))


def _doubled(null: Any, conditional: Any) -> Any:
    return torch.cat([null, conditional]) if isinstance(null, Tensor) else conditional


@contextlib.contextmanager
def pure_autocast() -> Iterator[None]:
    """Autocast's cache of cast weights is off inside, so that a network evaluation depends on nothing before it.

    With it on, a weight cast under `no_grad` is handed to a later evaluation that is to be differentiated, whose
    gradient is then silently lost; and gradients of a weight add up over the steps in half precision.
    """
    enabled = torch.is_autocast_cache_enabled()
    if not enabled or not (torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")):
        yield
        return
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(True)
