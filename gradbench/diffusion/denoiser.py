"""Denoisers: models that predict the noise or the data at (x, t), with one interface.

A denoiser returns a `Prediction`, which gives x_0, eps, v, score and flow, whichever of them the network predicts:

    x = alpha x_0 + sigma eps,    v = alpha eps - sigma x_0,    score = -eps / sigma,    flow = eps - x_0.

References: Salimans and Ho, 2022, Progressive distillation, arXiv:2202.00512, section 4 and appendix D (v); Liu et al.,
2023, arXiv:2209.03003, equation 1 (flow, the velocity of rectified flow).
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradbench import checks
from gradbench.checks import UsageError
from gradbench.diffusion.conditions import Batch, Conditions, refuse_unlike
from gradbench.diffusion.contract import answer_of, check_network, refuse_changed, version_of
from gradbench.diffusion.precision import precision_of, pure_autocast
from gradbench.diffusion.precondition import Preconditioning
from gradbench.diffusion.schedule import Schedule, make_schedule
from gradbench.diffusion.told import Told, check_told, time_told
from gradbench.diffusion.watches import Watches

PREDICTIONS = ("eps", "x0", "v", "score", "flow")


class Prediction(ABC):
    """The output of a denoiser at (x, t) in every parametrisation, each with the shape of x, (b, *x)."""

    alpha: float
    sigma: float

    @abstractmethod
    def combine(self, w_x0: float, w_eps: float) -> Tensor:
        """w_x0 x_0 + w_eps eps; a term of weight zero is skipped, so it cannot divide by zero."""

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
    """A prediction from one tensor `value`: x_0 and eps, hence all combinations, are c_x x + c_value value."""

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
            raise UsageError("a network that predicts eps has no x_0 at alpha = 0: allowed there are x0 and v")
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
            raise UsageError("a network that predicts x0 has no eps at sigma = 0: allowed there are eps and v")
        return {
            "eps": lambda: (0.0, 1.0),
            "x0": lambda: (1 / sigma, -alpha / sigma),
            "v": lambda: (sigma / square, alpha / square),
            "score": lambda: (0.0, -sigma),
            "flow": lambda: (1 / (alpha + sigma), alpha / (alpha + sigma)),
        }[self.kind]()


class ExactPrediction(Prediction):
    """x_0 and eps in closed form, each evaluated only if needed: no division at either end of a schedule."""

    def __init__(self, x0: Callable[[], Tensor], eps: Callable[[], Tensor], alpha: float, sigma: float) -> None:
        self._x0, self._eps, self.alpha, self.sigma = x0, eps, alpha, sigma

    def combine(self, w_x0: float, w_eps: float) -> Tensor:
        if w_x0 == 0.0:
            return self._eps() if w_eps == 1.0 else w_eps * self._eps()
        part = self._x0() if w_x0 == 1.0 else w_x0 * self._x0()
        return torch.add(part, self._eps(), alpha=w_eps) if w_eps else part


class Denoiser(nn.Module, ABC):
    """A module of (x, t) that counts its calls, with x (b, *x) and t a float in [0, 1].

    `calls` is the number of network evaluations (a doubled batch for guidance counts once), and `pulled` is the number
    of those that a backward pass went through. Subclasses implement `predict`. `affine`: the prediction is affine in x.
    `rowwise`: the prediction for a sample is the same function of that sample alone, so samples may be evaluated
    separately. `clean`: it can be evaluated at sigma = 0. sampler: the selector of the default sampler of
    `gradbench.sample`; if there is none, why_no_sampler says why.
    """

    affine = False
    rowwise = False
    clean = True
    copies = 1
    sampler: str | None = None
    why_no_sampler: str = ""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.calls = 0
        self.pulled = 0
        self.watches = Watches()

    @abstractmethod
    def predict(self, x: Tensor, t: float) -> Prediction:
        """The prediction at (x, t)."""

    def forward(self, x: Tensor, t: float) -> Prediction:
        self.calls += 1
        before = version_of(x)
        with pure_autocast():
            prediction = self.predict(x, t)
        refuse_changed(x, before)
        if not isinstance(prediction, Prediction):
            raise UsageError(
                f"predict must return a Prediction, got {type(prediction).__name__}: see NetworkPrediction"
            )
        return prediction

    def field(self, x: Tensor, t: float, weights: tuple[float, float]) -> Tensor:
        """w_x0 x_0 + w_eps eps at (x, t), (b, *x); `pulled` grows by one when a cotangent is pulled back through it."""
        return self.fields(x, t, weights)[0]

    def fields(self, x: Tensor, t: float, weights: tuple[float, float], *others: tuple[float, float]) -> list[Tensor]:
        """The `field` of these weights, and those of others from the same evaluation, detached."""
        prediction = self(x, t)
        value = prediction.combine(*weights)
        if value.shape != x.shape:
            raise UsageError(f"the prediction at x {tuple(x.shape)} has shape {tuple(value.shape)}: it must have x's")
        if value.requires_grad:
            value.register_hook(self._count_pull)
        self.watches.see(x, t, prediction, value)
        return [value, *(prediction.combine(*other).detach() for other in others)]

    @contextlib.contextmanager
    def repeated(self, copies: int) -> Iterator[None]:
        """Context in which a batch is `copies` copies of the samples that conditions refer to: x.repeat(copies)."""
        self.copies, before = copies, self.copies
        try:
            yield
        finally:
            self.copies = before

    def _count_pull(self, cotangent: Tensor) -> None:
        self.pulled += 1


class NetworkDenoiser(Denoiser):
    """A network with a time input, a condition and classifier-free guidance.

    network(x, time, condition, **extra) -> (b, *x), a prediction of `kind`, one of PREDICTIONS. With guidance w != 1,
    both predictions come from one doubled batch:

        out = out_null + w (out_condition - out_null)

    (Ho and Salimans, 2022, arXiv:2207.12598, equation 6, with w = 1 for no guidance; any other w is used as given, and
    w = 0 is the null prediction alone). guidance_rescale: phi in [0, 1], out <- phi s out + (1 - phi) out with
    s = std(out_condition) / std(out) over each sample (Lin et al., 2024, arXiv:2305.08891, section 3.4); or `norm`,
    out <- s out with s = |out_condition| / |out| along the last axis, as in Qwen-Image and Lumina 2.

    told: the time input of the network, one of `index`, `1000 t`, `t`, `1 - t`, `log(sigma)/4` or a function of t; by
    default the index of the schedule, or log(sigma)/4 on `ve` (see `time_told`). condition, null_condition: those of
    one sample, shared by the batch; with `batched` they have a leading axis of 1 or b. extra, null_extra: further
    inputs, such as pooled embeddings or class labels: tensors with a leading axis of 1 or b in mappings of any depth,
    except that those named in `shared` have no such axis. encoder: a module without arguments that returns `Conditions`
    to replace all four; it is called at every evaluation, so its weights are on the tape. Guidance contrasts extra with
    null_extra, by default extra itself, entry by entry: numbers and other objects must be the same in both.
    precondition: EDM's scales of the input and the output, which is then x_0.

    The state and the network keep their own dtypes (`precision_of`). The network's output, or its first entry if it is
    a tuple or an output object, must have the shape of its input. Raises a one-line `ValueError` for other shapes, for
    a condition or an extra tensor that does not fit the batch, and under guidance for a null_extra with other entries.
    """

    clean = False

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule | str,
        *,
        kind: str = "eps",
        told: Told | None = None,
        condition: Tensor | None = None,
        null_condition: Tensor | None = None,
        guidance: float = 1.0,
        guidance_rescale: float | str = 0.0,
        batched: bool = False,
        extra: Mapping[str, Any] | None = None,
        null_extra: Mapping[str, Any] | None = None,
        shared: Collection[str] = (),
        encoder: nn.Module | None = None,
        precondition: Preconditioning | None = None,
    ) -> None:
        super().__init__(make_schedule(schedule))
        check_network(network, extra or {})
        self.network = network
        self.told = check_told(told, self.schedule)
        self.extra = dict(extra or {})
        self.null_extra = self.extra if null_extra is None else dict(null_extra)
        self.shared = frozenset(shared)
        self.batched = batched
        self.kind = checks.one_of("prediction", kind, PREDICTIONS) if precondition is None else "x0"
        self.precondition = precondition
        self.guidance = checks.finite("guidance", guidance)
        if guidance_rescale != "norm":
            checks.in_range("guidance_rescale", guidance_rescale, 0.0, 1.0)
        self.guidance_rescale = checks.plain(guidance_rescale)
        self.encoder = encoder
        told_apart = bool(null_extra) if condition is None else null_condition is not None
        if self.guidance != 1.0 and not told_apart and encoder is None:
            raise UsageError(
                f"guidance {guidance!r} needs a condition and a null_condition, or without a condition a null_extra; "
                "without them it must be 1"
            )
        self.condition = checks.tensor_or_none("condition", condition)
        self.null_condition = checks.tensor_or_none("null_condition", null_condition)
        if self.guidance != 1.0 and encoder is None:
            refuse_unlike(self.conditions, self.shared)

    @property
    def conditions(self) -> Conditions:
        """The current inputs besides x and the time."""
        if self.encoder is not None:
            return self.encoder()
        return Conditions(self.condition, self.null_condition, self.extra, self.null_extra)

    def predict(self, x: Tensor, t: float) -> Prediction:
        alpha, sigma = self.schedule.alpha(t), self.schedule.sigma(t)
        time = time_told(self.told, self.schedule, t)
        if self.precondition is None:
            return NetworkPrediction(self.kind, self._network(x, time).to(x.dtype), x, alpha, sigma)
        y, level = x if alpha == 1 else x / alpha, sigma / alpha
        answer = self._network(self.precondition.inputs(y, level), time).to(x.dtype)
        return NetworkPrediction("x0", self.precondition.outputs(y, answer, level), x, alpha, sigma)

    def _network(self, x: Tensor, time: float) -> Tensor:
        dtype = precision_of(self.network, x.dtype)
        at = torch.full((), time, dtype=torch.float32 if dtype != torch.float64 else dtype, device=x.device)
        inputs, said = x.to(dtype), self.conditions
        rows = Batch(inputs, self.copies, self.batched, self.shared)
        if self.guidance == 1.0:
            return answer_of(self.network(inputs, at, rows.condition(said.condition), **rows.extra(said.extra)), inputs)
        both, told = rows.doubled(said)
        doubled = torch.cat([inputs, inputs])
        null, conditional = answer_of(self.network(doubled, at, both, **told), doubled).chunk(2)
        return self._rescaled(null + self.guidance * (conditional - null), conditional)

    def _rescaled(self, guided: Tensor, conditional: Tensor) -> Tensor:
        if self.guidance_rescale == "norm":
            return guided * (conditional.norm(dim=-1, keepdim=True) / guided.norm(dim=-1, keepdim=True))
        if not self.guidance_rescale:
            return guided
        own, wanted = (p.std(dim=tuple(range(1, p.ndim)), keepdim=True) for p in (guided, conditional))
        return torch.lerp(guided, guided * (wanted / own), float(self.guidance_rescale))
