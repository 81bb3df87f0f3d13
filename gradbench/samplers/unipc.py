"""UniPC: a multistep predictor whose point is corrected once the next evaluation is known.

Step k evaluates the field at the predicted point, corrects that point, and predicts the next one from the corrected.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from gradbench.samplers.base import Field, Interval, Point, Rule, State

SOLVERS = ("bh2", "bh1")


class Weights(NamedTuple):
    """Of the slopes in units of the increment: at the start of the step, those before it, and that at its end."""

    start: float
    past: tuple[float, ...]
    end: float


@dataclass(frozen=True)
class UniPC(Rule):
    """The state is (predicted x_k, corrected x_{k-1}, F_{k-1}, ..., F_{k-p}) after the first step.

    most: p of UniPC-p; step k has order min(p, k + 1, N - k), so that the last has order 1. Let H be the step in
    log tau, E = exp(-H) - 1, and B = E (bh2) or -H (bh1). To Euler's step is added

        kappa_1 h (B / E) sum_i rho_i (F_i - F_0) / r_i,    r_i = (log tau_i - log tau_0) / H,

    over p - 1 earlier evaluations, and in the corrector that at the end, r = 1. The rho solve
    sum_i rho_i r_i^{n-1} = -n! H phi_{n+1}(-H) / B for as many n as there are terms; the predictor of order 2 and the
    corrector of order 1 take rho = 1/2. The data chart is diffusers' `predict_x0=True`, the noise chart its False.

    References: Zhao et al., 2023, UniPC, arXiv:2302.04867; diffusers' UniPCMultistepScheduler.
    """

    most: int = 2
    solver: str = "bh2"
    order = 2  # by its first and last steps
    stages = 1

    def step(self, field: Field, state: State, interval: Interval) -> State:
        point, *history = state
        slope = field(interval.t0, point)
        slopes = history[1:]
        if history:
            point = self._corrected(history[0], slopes, slope, interval)
        order = self._order(interval.index, interval.left)
        weights = self._weights(interval, interval.past, order, corrects=False)
        end = interval.add(interval.carry(point), weights.start, slope)
        for weight, past in zip(weights.past, slopes, strict=False):
            end = interval.add(end, weight, past)
        return end, point, slope, *slopes[: self.most - 1]

    def _corrected(self, before: Point, slopes: Sequence[Point], slope: Point, interval: Interval) -> Point:
        """The point at the start of the interval, from the corrected one a step before."""
        last = interval.before
        order = self._order(interval.index - 1, None if interval.left is None else interval.left + 1)
        weights = self._weights(last, interval.past[1:], order, corrects=True)
        point = last.add(last.carry(before), weights.start, slopes[0])
        for weight, past in zip(weights.past, slopes[1:], strict=False):
            point = last.add(point, weight, past)
        return last.add(point, weights.end, slope)

    def _order(self, index: int, left: int | None) -> int:
        return min(self.most, index + 1, *([] if left is None else [left]))

    def _weights(self, interval: Interval, past: Sequence[float], order: int, corrects: bool) -> Weights:
        taus = tuple(interval.chart.tau(t) for t in past[: order - 1])
        return _solved(interval.tau0, interval.tau0 + interval.h, taus, order, self.solver, corrects)


@lru_cache(maxsize=4096)
def _solved(start: float, end: float, taus: tuple[float, ...], order: int, solver: str, corrects: bool) -> Weights:
    if order == 1 and not corrects:
        return Weights(1.0, (), 0.0)
    step = math.log(end / start) if 0 < start < math.inf and 0 < end < math.inf else math.inf
    grown = math.expm1(-step)
    scale = grown if solver == "bh2" else -step
    places = [math.log(tau / start) / step if tau > 0 and math.isfinite(step) else -math.inf for tau in taus]
    known = [place for place in places if math.isfinite(place)]  # an evaluation at alpha = 0 lies infinitely far back
    nodes = [*known, 1.0] if corrects else known
    rho = _rho(step, nodes, scale, halved=order == (1 if corrects else 2))
    shares = [scale / grown * value / place for value, place in zip(rho, nodes, strict=True)]
    far = [0.0] * (len(places) - len(known))
    own = shares[: len(known)]
    at_end = shares[-1] if corrects else 0.0
    return Weights(1.0 - sum(shares), (*own, *far), at_end)


def _rho(step: float, nodes: Sequence[float], scale: float, halved: bool) -> Sequence[float]:
    """The solution of sum_i rho_i r_i^{n-1} = b_n, n = 1, ..., the number of nodes."""
    if halved:
        return [0.5] * len(nodes)
    x, moments, factorial = -step, list[float](), 1.0
    phi = math.expm1(x) / x - 1 if math.isfinite(x) else -1.0
    for n in range(1, len(nodes) + 1):
        moments.append(phi * factorial / scale)
        factorial *= n + 1
        phi = (phi / x if math.isfinite(x) else 0.0) - 1 / factorial
    powers = np.power(np.array(nodes), np.arange(len(nodes))[:, None])
    return [float(value) for value in np.linalg.solve(powers, np.array(moments))]


def unipc(order: int = 2, solver: str = "bh2") -> UniPC:
    """The rule of `unipc[order=1|2|3,solver=bh2|bh1]`."""
    return UniPC(order, solver)
