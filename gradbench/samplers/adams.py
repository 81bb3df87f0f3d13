"""Adams-Bashforth rules of any order with variable steps, in the clock of the chart or in its logarithm.

y_{k+1} = y_k + sum_i F_{k-i} int L_i(u) dtau over the step, with the Lagrange polynomials L_i of u = tau or log tau
through the last p evaluations.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gradbench.samplers.base import Field, Interval, Rule, State

PLACES, WEIGHTS = (
    (part + shift) / 2 for part, shift in zip(np.polynomial.legendre.leggauss(48), (1.0, 0.0), strict=True)
)
LONGEST = 60.0  # in log tau: beyond it the last slope alone counts


@dataclass(frozen=True)
class Adams(Rule):
    """The state is (x_k, F_{k-1}, ..., F_{k-p+1}) once p - 1 steps are done; before, the order is what history allows.

    most: p. `logarithmic` interpolates in log tau: in the noise chart this is DEIS, in the data chart with p = 2
    DPM-Solver++(2M) by Heun's variant; without it, in the noise chart, Katherine Crowson's LMS (p = 4). A step that
    has no finite ratio in log tau, as to sigma = 0, and one of which a scheduler's `Stop` asks so, has a lower order.

    References: Hairer, Norsett and Wanner, 1993, Solving Ordinary Differential Equations I, section III.5; Zhang and
    Chen, 2023, DEIS, arXiv:2204.13902; diffusers' LMSDiscreteScheduler and DEISMultistepScheduler.
    """

    most: int
    logarithmic: bool = False
    order = 2  # by its first steps, which have less history
    stages = 1

    def step(self, field: Field, state: State, interval: Interval) -> State:
        point, *history = state
        slopes = [field(interval.t0, point), *history]
        end = interval.carry(point)
        for weight, slope in zip(self.weights(interval, len(slopes)), slopes, strict=False):
            end = interval.add(end, weight, slope)
        return end, *slopes[: self.most - 1]

    def weights(self, interval: Interval, known: int) -> Sequence[float]:
        """int L_i(u) dtau / h, the latest slope first; their sum is 1."""
        allowed = min(known, self.most if interval.most_order is None else interval.most_order)
        nodes = [interval.tau0, *(interval.chart.tau(t) for t in interval.past[: allowed - 1])]
        return _weights(tuple(nodes), interval.tau0 + interval.h, self.logarithmic)


@lru_cache(maxsize=4096)
def _weights(nodes: tuple[float, ...], end: float, logarithmic: bool) -> tuple[float, ...]:
    if len(nodes) == 1:
        return (1.0,)
    density = np.ones_like(PLACES)
    if logarithmic:
        if not all(math.isfinite(node) and node > 0 for node in (*nodes, end)):
            return _weights(tuple(n for n in nodes[:1]), end, False)
        nodes, end = tuple(map(math.log, nodes)), math.log(end)
        density = np.exp((end - nodes[0]) * PLACES)
        density = density / (WEIGHTS @ density)
    now = nodes[0]
    at = now + (end - now) * PLACES
    return tuple(
        float(
            WEIGHTS @ (density * np.prod([(at - other) / (node - other) for other in nodes if other != node], axis=0))
        )
        for node in nodes
    )


def deis(order: int = 3) -> Adams:
    """The rule of `deis[order=2|3]`."""
    return Adams(order, logarithmic=True)


def lms(order: int = 4) -> Adams:
    """The rule of `lms[order=2|3|4]`."""
    return Adams(order)
