"""Two leaps in place of the chain: the plans of LeapAlign and of FlowBP's quadratures.

A leap from state s to state e takes the network's output O at its nodes, which are states of the chain that was run,

    x_e = A x_s + sum_i q_i O_i,

where q_i / B are the weights by which the Lagrange polynomial through the nodes is integrated from t_s to t_e, in the
clock of O. With one node, A and B = sum_i q_i are those of the DDIM step, exact where x0_hat and eps_hat are constant
(`diffusion.detached.leap`). With several, they are those of an Euler step in the chart of O, so that the error falls as
nodes are added. The two differ for v of a schedule that is not rectified: cos and sin of an angle, against 1 and it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.polynomial import polynomial

from gradbench.checks import UsageError
from gradbench.diffusion.detached import detached_chart, leap
from gradbench.diffusion.grid import Grid
from gradbench.diffusion.schedule import Schedule
from gradbench.estimators.pathwise.plan import Chain, Leaps, Plan, PlanDistribution
from gradbench.estimators.refusals import no_leap
from gradbench.problems.traits import ProblemTraits

MODES = ("start", "midpoint", "all")


def nodes_of(start: int, end: int, order: int) -> np.ndarray:
    """Indices of at most `order` nodes in [start, end): evenly spread, the first and the last among them."""
    if end - start <= order:
        return np.arange(start, end)
    return np.unique(np.round(np.linspace(0, end - start - 1, order))).astype(int) + start


def quadrature(places: np.ndarray, start: float, end: float) -> np.ndarray:
    """The integral from `start` to `end` of each Lagrange polynomial of the nodes at `places`, over end - start."""
    x = (places - start) / (end - start)
    found: list[float] = []
    for i, own in enumerate(x):
        others = np.delete(x, i)
        whole = polynomial.polyint(polynomial.polyfromroots(others) / np.prod(own - others))
        found.append(polynomial.polyval(1.0, whole))
    return np.array(found)


class PairLaw(ABC):
    """The distribution of the two states, with indices k < j, from which the leaps of a chain start."""

    fewest = 2

    @abstractmethod
    def draw(self, steps: int, samples: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """k and j of every sample, (samples) each."""

    def all(self, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The probabilities, k and j of every pair, (n) each; `ValueError` if they are unknown."""
        raise UsageError("the probabilities of law=dirichlet are not known in closed form: use draws")


class UniformPairs(PairLaw):
    """Uniform over a set of pairs, by default all k < j among the N states before the end."""

    def pairs(self, steps: int) -> np.ndarray:
        """The pairs, (n, 2)."""
        return np.stack(np.triu_indices(steps, 1), 1)

    def draw(self, steps: int, samples: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.pairs(steps)[random.integers(0, len(self.pairs(steps)), samples)]
        return chosen[:, 0], chosen[:, 1]

    def all(self, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pairs = self.pairs(steps)
        return np.full(len(pairs), 1 / len(pairs)), pairs[:, 0], pairs[:, 1]


class CleanPairs(UniformPairs):
    """Both states in the clean half of the chain."""

    fewest = 3

    def pairs(self, steps: int) -> np.ndarray:
        found = super().pairs(steps)
        return found[found[:, 0] >= steps // 2]


class HalfPairs(UniformPairs):
    """The second state N/2 steps after the first, rounded down."""

    def pairs(self, steps: int) -> np.ndarray:
        first = np.arange(steps - steps // 2)
        return np.stack([first, first + steps // 2], 1)


class FromNoise(UniformPairs):
    """The first leap starts at x_T, which then has a gradient; the second starts at any later state."""

    def pairs(self, steps: int) -> np.ndarray:
        later = np.arange(1, steps)
        return np.stack([np.zeros_like(later), later], 1)


@dataclass(frozen=True)
class DirichletPairs(PairLaw):
    """Shares (p_A, p_B, p_C) ~ Dirichlet of the last n = round(share N) steps, l = round(p n) and at least 1, with the
    remainder added to the largest; j = N - 1 - l_A and k = j - l_B.

    latest: the largest N - j allowed; the excess of A goes to C.
    """

    concentration: tuple[float, float, float] = (2.5, 6.0, 2.0)
    share: float = 1.0
    latest: int | None = None
    fewest = 3

    def draw(self, steps: int, samples: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        window = max(3, round(self.share * steps))
        shares = random.dirichlet(self.concentration, samples)
        lengths = np.maximum(1, np.round(shares * window)).astype(int)
        rows = np.arange(samples)
        for _ in range(3):  # what is too much for the largest is taken from the next
            largest = lengths.argmax(1)
            lengths[rows, largest] = np.maximum(1, lengths[rows, largest] + window - lengths.sum(1))
        if self.latest is not None:
            over = np.maximum(0, lengths[:, 0] - (self.latest - 1))
            lengths[:, 0] -= over
            lengths[:, 2] += over
        j = steps - 1 - lengths[:, 0]
        return j - lengths[:, 1], j


PAIRS: dict[str, PairLaw] = {
    "pairs": UniformPairs(),
    "clean": CleanPairs(),
    "half": HalfPairs(),
    "from-noise": FromNoise(),
    "dirichlet": DirichletPairs(),
}


@dataclass(frozen=True)
class TwoLeaps(PlanDistribution):
    """Leaps x_k -> x_j -> x_N whose ends are put at the chain's own states: the value is the chain's, the gradient the
    leap's (straight-through). With the network's input x_j scaled by `a`,

        g = w { sum_i [j, N) c_i Th_i^T lambda + sum_i [k, j) c_i Th_i^T (A_j + a c_j dO_j/dx)^T lambda },

    Th_i = dO_i/d theta at the chain's state i, and c_i = f q_i at the first active node of a leap, c f q_i at others.
    f = 1 + g (sum |q_i| / sum_active |q_i| - 1), per leap. order: nodes per leap. mode: the active ones: `start` the
    first, `midpoint` the first two, `all`. tau: w = 1/(max(d_j, tau) + max(d_N, tau)), see `Leaps`; None for w = 1.
    """

    a: float
    tau: float | None
    law: PairLaw
    order: int = 1
    mode: str = "start"
    c: float = 1.0
    g: float = 0.0
    detach: str = field(default="v", kw_only=True)

    @property
    def quadratic(self) -> bool:  # type: ignore[override]
        return self.tau is None

    def refuses(self, traits: ProblemTraits) -> str | None:
        few = f"two leaps with this law need at least {self.law.fewest} steps, got {traits.steps}"
        return no_leap(self.detach, traits) or (few if traits.steps < self.law.fewest else None)

    def draw(self, chain: Chain, samples: int, random: np.random.Generator) -> Plan:
        return self.build(chain, *self.law.draw(chain.steps, samples, random))

    def mixture(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        weights, k, j = self.law.all(chain.steps)
        return weights, self.build(chain, k, j)

    def costs(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        """One plan for every pair of numbers of active nodes; from 4,096 draws where the probabilities are unknown."""
        try:
            weights, k, j = self.law.all(chain.steps)
        except UsageError:
            k, j = self.law.draw(chain.steps, 4096, np.random.default_rng(0))
            weights = np.full(len(k), 1 / len(k))
        counts = np.stack([self.count(np.minimum(length, self.order)) for length in (j - k, chain.steps - j)])
        _, first, kind = np.unique(counts, axis=1, return_index=True, return_inverse=True)
        return np.bincount(kind.reshape(-1), weights), self.build(chain, k[first], j[first])

    def reaches_x_T(self, steps: int) -> bool:
        return isinstance(self.law, FromNoise) or steps == 2

    def build(self, chain: Chain, k: np.ndarray, j: np.ndarray) -> Plan:
        """The plan of samples whose leaps start at the states k and j, (n) each."""
        pairs, which = np.unique(np.stack([k, j], 1), axis=0, return_inverse=True)
        found = [coefficients(self, chain.schedule, chain.grid, int(k), int(j)) for k, j in pairs]
        carry, gain, active = (np.stack(rows, 1) for rows in zip(*found, strict=True))
        steps = np.arange(chain.steps)[:, None]
        reached = self.reaches_x_T(chain.steps)
        through = np.where(steps == pairs[:, 1], self.a, 0.0)
        whole = self.plan(
            active,
            steps >= pairs[:, 0],
            through=np.where(steps == pairs[:, 0], 1.0, through) if reached else through,
            scale_x_T=1.0 if reached else None,
            leaps=Leaps(carry, gain, pairs[:, 0], pairs[:, 1], self.tau),
        )
        return whole.of(which.reshape(-1))

    def count(self, nodes: int | np.ndarray) -> np.ndarray:
        """How many of a leap's nodes are active."""
        return np.minimum(nodes, {"start": 1, "midpoint": 2, "all": self.order}[self.mode])


@lru_cache(1 << 12)
def coefficients(
    leaps: TwoLeaps, schedule: Schedule, grid: Grid, k: int, j: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """carry, gain and active weight of every step, (N) each, of leaps from the states k and j."""
    chart, steps = detached_chart(leaps.detach, schedule), len(grid) - 1
    carry, gain, active = np.ones(steps), np.zeros(steps), np.zeros(steps)
    for start, end in ((k, j), (j, steps)):
        nodes = nodes_of(start, end, leaps.order)
        t0, t1 = grid[start], grid[end]
        one = len(nodes) == 1
        carry[start], length = leap(chart, t0, t1) if one else (chart.ratio(t0, t1), chart.increment(t0, t1))
        taus = np.array([chart.tau(grid[i]) for i in nodes])
        gain[nodes] = length * quadrature(taus, chart.tau(t0), chart.tau(t1))
        weights = np.where(np.arange(len(nodes)) == 0, 1.0, leaps.c)[: int(leaps.count(len(nodes)))]
        used = nodes[: len(weights)]
        share = np.abs(gain[used]).sum() / np.abs(gain[nodes]).sum()
        # the first of two evenly spaced nodes has no weight, but for rounding: nothing to scale up
        active[used] = weights * (1 + leaps.g * (1 / share - 1) if share > 1e-9 else 1)
    return carry, gain, active
