"""Reversible rules: all states can be recovered from the last one in closed form.

Formulas are in the chart's y = x / kappa and tau, with h = tau_{k+1} - tau_k and h_before = tau_k - tau_{k-1}.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gradbench.checks import UsageError
from gradbench.diffusion.sde_chart import SDEChart
from gradbench.samplers.base import Field, Interval, ReversibleRule, Rule, State
from gradbench.samplers.rules import ONE_STEP


class TwoPoint(ReversibleRule):
    """Explicit two-step rules that keep the previous point: state (x_k, x_{k-1}); the first step is Euler's.

    y_{k+1} = a y_{k-1} + (1 - a) y_k + (h + a h_before) F_k.

    They are consistent for every a and reversible for every a != 0; a = 1 is the leapfrog rule, a = 0 is Euler's.
    """

    stages = 1

    @abstractmethod
    def weight(self, interval: Interval) -> float:
        """The weight a of the step over the interval."""

    def step(self, field: Field, state: State, interval: Interval) -> State:
        x, *history = state
        slope = field(interval.t0, x)
        if not history:
            return interval.add(interval.carry(x), 1.0, slope), x
        a, stretch = self._coefficients(interval)
        both = a * interval.before.carry(history[0]) + (1 - a) * x
        return interval.add(interval.carry(both), stretch, slope), x

    def inverse(self, field: Field, state: State, interval: Interval) -> State:
        end, x = state
        if interval.t_before is None:
            return (x,)
        a, stretch = self._coefficients(interval)
        back = interval.reversed
        both = back.add(back.carry(end), stretch, field(interval.t0, x))
        return x, interval.before.reversed.carry((both - (1 - a) * x) / a)

    def _coefficients(self, interval: Interval) -> tuple[float, float]:
        """a, and (h + a h_before) / h."""
        a = self.weight(interval)
        return a, 1 + a * interval.before.h / interval.h


@dataclass(frozen=True)
class BELM(TwoPoint):
    """O-BELM in the noise chart: a = (h / h_before)^2, the choice with the smallest local error.

    References: Wang et al., 2024, BELM, arXiv:2410.07273.
    """

    order = 2

    def weight(self, interval: Interval) -> float:
        return (interval.h / interval.before.h) ** 2


@dataclass(frozen=True)
class BDIA(TwoPoint):
    """Bi-directional integration approximation in the noise chart: a = gamma alpha_{k-1} / alpha_{k+1}.

    gamma = 1 is the leapfrog rule in x; rounding errors of the inverse grow like gamma^-N. References: Zhang, Lewis
    and Kleijn, 2023, BDIA, arXiv:2307.10829.
    """

    gamma: float
    order = 1

    def weight(self, interval: Interval) -> float:
        return self.gamma / interval.ratio() / interval.before.ratio()


@dataclass(frozen=True)
class EDICT(ReversibleRule):
    """Exact diffusion inversion via coupled transformations: two copies (u, v), each stepped with the other's slope.

        u~ = u + h F(t_k, v),  v~ = v + h F(t_k, u~);    u' = p u~ + (1 - p) v~,  v' = p v~ + (1 - p) u'.

    F receives u~ as x = kappa_{k+1} u~, not rescaled to t_k. turns=alternate, as in the released code (leapfrog_steps):
    in steps 1, 3, ... v goes first, v~ = v + h F(t_k, u) and u~ = u + h F(t_k, v~); the copies are mixed in the same
    order in all steps. turns=fixed, as in the paper's equations: u always goes first. copies=one: x_T (b, *x) starts
    both copies, and u is the sample; copies=both: x_T and the sample are pairs (b, 2, *x). Rounding errors of the
    inverse grow like p^-2N. References: Wallace, Gokul and Naik, 2023, EDICT, arXiv:2211.12446, equations 12 to 15,
    and its code.
    """

    p: float
    turns: str = "alternate"
    copies: str = "one"
    order = 1
    stages = 2
    parts = 2

    def start(self, field: Field, x: Tensor) -> State:
        if self.copies == "one":
            return x, x
        if x.ndim < 3 or x.shape[1] != 2:
            raise UsageError(f"edict[copies=both] takes x_T (b, 2, *x), two copies per sample, got {tuple(x.shape)}")
        return x.unbind(1)

    def step(self, field: Field, state: State, interval: Interval) -> State:
        u, v = self._swept(field, state, interval, interval, self._turns(interval))
        u = self.p * u + (1 - self.p) * v
        return u, self.p * v + (1 - self.p) * u

    def inverse(self, field: Field, state: State, interval: Interval) -> State:
        u, v = state
        v = (v - (1 - self.p) * u) / self.p
        u = (u - (1 - self.p) * v) / self.p
        return self._swept(field, (u, v), interval, interval.reversed, self._turns(interval)[::-1])

    def finish(self, field: Field, state: State, interval: Interval) -> Tensor:
        return state[0] if self.copies == "one" else torch.stack(state, 1)

    def _turns(self, interval: Interval) -> tuple[int, ...]:
        return (1, 0) if self.turns == "alternate" and interval.index % 2 else (0, 1)

    def _swept(self, field: Field, state: State, interval: Interval, along: Interval, turns: tuple[int, ...]) -> State:
        """The copies, advanced in turn by the slope at the other one."""
        pair = list(state)
        for i in turns:
            pair[i] = along.add(along.carry(pair[i]), 1.0, field(interval.t0, pair[1 - i]))
        return tuple(pair)


@dataclass(frozen=True)
class ReversibleHeun(ReversibleRule):
    """The reversible Heun rule,

        z_{k+1} = 2 y_k - z_k + h F_k,   F_{k+1} = F(t_{k+1}, z_{k+1}),   y_{k+1} = y_k + (h / 2) (F_k + F_{k+1}),

    with state (z_k, q_k), where q_k = y_k - (h_before / 2) F_k is y before its last half step. A step then evaluates F
    only at its start, z_{k+1} = 2 q_{k+1} - z_k, and its inverse takes one evaluation.

    References: Kidger et al., 2021, Efficient and accurate gradients for neural SDEs, arXiv:2105.13493.
    """

    order = 2
    stages = 1

    def start(self, field: Field, x: Tensor) -> State:
        return x, x

    def step(self, field: Field, state: State, interval: Interval) -> State:
        z, q = state
        slope = field(interval.t0, z)
        y = q if interval.t_before is None else interval.before.add(q, 0.5, slope)
        q = interval.add(interval.carry(y), 0.5, slope)
        return 2 * q - interval.carry(z), q

    def inverse(self, field: Field, state: State, interval: Interval) -> State:
        z, q = state
        back = interval.reversed
        z = back.carry(2 * q - z)
        slope = field(interval.t0, z)
        y = back.add(back.carry(q), 0.5, slope)
        return z, y if interval.t_before is None else interval.before.add(y, -0.5, slope)

    def finish(self, field: Field, state: State, interval: Interval) -> Tensor:
        z, q = state
        return interval.add(q, 0.5, field(interval.t1, z))


@dataclass(frozen=True)
class McCallumFoster(ReversibleRule):
    """Any one-step rule made reversible. If B_h(y) = y + Phi_h(y) is the step of the base rule,

        y_{k+1} = B_h(z_k) + zeta (y_k - z_k),      z_{k+1} = y_{k+1} + z_k - B_{-h}(y_{k+1}).

    In a diffusion's chart this is Rex. In an SDE chart, W / h is added to the slope, where W is the increment of the
    path over the interval; B_{-h} and the inverse use the same W / h. Rounding errors of the inverse grow like zeta^-N;
    the stability region shrinks as zeta tends to 1.

    References: McCallum and Foster, 2024, arXiv:2410.11648; Blasingame and Liu, 2025, Rex,
    arXiv:2502.08834.
    """

    base: Rule
    zeta: float
    parts = 2

    @property
    def order(self) -> int:  # type: ignore[override]
        return self.base.order

    @property
    def stages(self) -> int:  # type: ignore[override]
        return 2 * self.base.stages

    def start(self, field: Field, x: Tensor) -> State:
        return x, x

    def step(self, field: Field, state: State, interval: Interval) -> State:
        y, z = state
        driven, back = _driven(field, interval), interval.reversed
        (there,) = self.base.step(driven, (z,), interval)
        y = there + self.zeta * interval.carry(y - z)
        (here,) = self.base.step(driven, (y,), back)
        return y, y + interval.carry(z - here)

    def inverse(self, field: Field, state: State, interval: Interval) -> State:
        y, z = state
        driven, back = _driven(field, interval), interval.reversed
        (here,) = self.base.step(driven, (y,), back)
        z = here + back.carry(z - y)
        (there,) = self.base.step(driven, (z,), interval)
        return z + back.carry(y - there) / self.zeta, z


def _driven(field: Field, interval: Interval) -> Field:
    """The field plus the slope of the path: F + W / h, where W is (int g^2 / kappa^2 dt)^(1/2) times the noise."""
    if interval.noise is None:
        return field
    assert isinstance(interval.chart, SDEChart)
    deviation = interval.chart.variance(interval.t0, interval.t1) ** 0.5
    push: Tensor = interval.noise * (deviation / interval.h)
    return lambda t, x: field(t, x) + push


BELM_RULE = BELM()
REVERSIBLE_HEUN = ReversibleHeun()


def rex(rule: str, zeta: float) -> Rule:
    """The rule of `rex[rule=...,zeta=...]`."""
    return McCallumFoster(ONE_STEP[rule], zeta)
