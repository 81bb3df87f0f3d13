"""Random steps of the chain, drawn without replacement: the plans of FlowBP's sparse and bridged surrogates."""

import math
from dataclasses import dataclass, field
from itertools import combinations, permutations

import numpy as np

from gradbench.checks import UsageError
from gradbench.diffusion.detached import detached_chart
from gradbench.estimators.pathwise.plan import Chain, Plan, PlanDistribution
from gradbench.estimators.pathwise.truncation import too_many
from gradbench.estimators.refusals import no_detached
from gradbench.problems.traits import ProblemTraits

MOST_SETS = 2_000_000  # ordered sets whose probabilities are summed


def drawn_sets(weights: np.ndarray, count: int, samples: int, random: np.random.Generator) -> np.ndarray:
    """A mask (len(weights), samples): `count` members drawn one after another without replacement, by their weights."""
    races = random.exponential(size=(len(weights), samples)) / weights[:, None]
    order = np.argsort(races, 0)[:count]
    mask = np.zeros(races.shape, bool)
    np.put_along_axis(mask, order, True, 0)
    return mask


def all_sets(weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The probability (n) of every set of `count` members drawn this way, and the sets as a mask (len(weights), n)."""
    size = len(weights)
    if math.comb(size, count) * math.factorial(count) > MOST_SETS:
        raise UsageError(f"sets of {count} among {size} steps are too many for an exact expectation: use draws")
    sets = np.array(list(combinations(range(size), count)), int).reshape(math.comb(size, count), count)
    held, chances = weights[sets], np.zeros(len(sets))
    for order in permutations(range(count)):
        left = np.full(len(sets), weights.sum())
        chance = np.ones(len(sets))
        for place in order:
            chance *= held[:, place] / left
            left = left - held[:, place]
        chances += chance
    mask = np.zeros((size, len(sets)), bool)
    np.put_along_axis(mask, sets.T, True, 0)
    return chances, mask


@dataclass(frozen=True)
class SparseSteps(PlanDistribution):
    """FlowBP, sparse: k steps S of [start, N), drawn one after another with weights (i + 1)^b, are active; the gradient
    is stopped at every network input,

        g = f sum_S m_i Th_i^T lambda,      f = 1 + g (sum_[start, N) |m_i| / sum_S |m_i| - 1),

    with m_i the length of step i in the clock of the detached output. There is no division by inclusion probabilities.
    """

    k: int
    b: float
    g: float
    start: int = 0
    detach: str = field(default="v", kw_only=True)

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_detached(self.detach, traits) or too_many("k + start", self.k + self.start, traits)

    def draw(self, chain: Chain, samples: int, random: np.random.Generator) -> Plan:
        return self._of(chain, drawn_sets(self._weights(chain.steps), self.k, samples, random))

    def mixture(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        chances, sets = all_sets(self._weights(chain.steps), self.k)
        return chances, self._of(chain, sets)

    def costs(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        return np.ones(1), self.draw(chain, 1, np.random.default_rng(0))

    def reaches_x_T(self, steps: int) -> bool:
        return True

    def _weights(self, steps: int) -> np.ndarray:
        return (np.arange(self.start, steps) + 1.0) ** self.b

    def _of(self, chain: Chain, sets: np.ndarray) -> Plan:
        active = np.zeros((chain.steps, sets.shape[1]), bool)
        active[self.start :] = sets
        return self.plan(
            active * rescaled(chain, self.detach, active, self.start, self.g),
            np.full(active.shape, True),
            through=np.zeros(active.shape),
        )


@dataclass(frozen=True)
class BridgedSteps(PlanDistribution):
    """FlowBP, bridge: the sparse surrogate with one Jacobian left in, that of a step j,

        g = f sum_{S, i >= j} m_i Th_i^T lambda + f sum_{S, i < j} m_i Th_i^T (I + a f m_j dO_j/dx)^T lambda.

    j is the later of two states drawn uniformly, P(j) = j / C(N, 2). Of the k steps, round(k j / N) lie before j, at
    least one on each side; those after it are j itself and others. Both are drawn with weights (offset + 1)^b, the
    offset counted from 0 and from j + 1.
    """

    k: int
    b: float
    g: float
    a: float
    detach: str = field(default="v", kw_only=True)

    def refuses(self, traits: ProblemTraits) -> str | None:
        few = "a bridge needs at least 2 steps, got 1" if traits.steps < 2 else None
        return few or no_detached(self.detach, traits) or too_many("k", self.k, traits)

    def draw(self, chain: Chain, samples: int, random: np.random.Generator) -> Plan:
        places = np.arange(1, chain.steps)
        j = random.choice(places, samples, p=places / places.sum())
        active = np.zeros((chain.steps, samples), bool)
        for place in np.unique(j):
            (rows,) = np.nonzero(j == place)
            before, after = self._counts(chain.steps, place)
            active[:place, rows] = drawn_sets(self._weights(place), before, len(rows), random)
            active[place, rows] = True
            rest = self._weights(chain.steps - place - 1)
            active[place + 1 :, rows] = drawn_sets(rest, after - 1, len(rows), random)
        return self._of(chain, j, active)

    def mixture(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        places = np.arange(1, chain.steps)
        parts = [self._at(chain.steps, int(place)) for place in places]
        chances = [place / places.sum() * weights for place, (weights, _) in zip(places, parts, strict=True)]
        j = np.concatenate([np.full(len(weights), place) for place, (weights, _) in zip(places, parts, strict=True)])
        return np.concatenate(chances), self._of(chain, j, np.concatenate([sets for _, sets in parts], 1))

    def costs(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        places = np.arange(1, chain.steps)
        random = np.random.default_rng(0)
        active = [self._one(chain.steps, int(place), random) for place in places]
        return places / places.sum(), self._of(chain, places, np.concatenate(active, 1))

    def reaches_x_T(self, steps: int) -> bool:
        return True

    def _weights(self, count: int) -> np.ndarray:
        return (np.arange(count) + 1.0) ** self.b

    def _counts(self, steps: int, j: int) -> tuple[int, int]:
        """How many steps are active before j, and from j on."""
        before = min(max(1, round(self.k * j / steps)), max(1, self.k - 1))
        return min(before, j), min(max(1, self.k - before), steps - j)

    def _one(self, steps: int, j: int, random: np.random.Generator) -> np.ndarray:
        before, after = self._counts(steps, j)
        sides = (
            drawn_sets(self._weights(j), before, 1, random),
            np.full((1, 1), True),
            drawn_sets(self._weights(steps - j - 1), after - 1, 1, random),
        )
        return np.concatenate(sides)

    def _at(self, steps: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and sets of the plans that have this j."""
        before, after = self._counts(steps, j)
        first, early = all_sets(self._weights(j), before)
        last, late = all_sets(self._weights(steps - j - 1), after - 1)
        own = np.full((1, len(first) * len(last)), True)
        sets = np.concatenate([np.repeat(early, len(last), 1), own, np.tile(late, (1, len(first)))])
        return np.outer(first, last).flatten(), sets

    def _of(self, chain: Chain, j: np.ndarray, active: np.ndarray) -> Plan:
        return self.plan(
            active * rescaled(chain, self.detach, active, 0, self.g),
            np.full(active.shape, True),
            through=np.where(np.arange(chain.steps)[:, None] == j, self.a, 0.0),
        )


def rescaled(chain: Chain, detach: str, active: np.ndarray, start: int, g: float) -> np.ndarray:
    """f = 1 + g (sum_[start, N) |m_i| / sum_active |m_i| - 1) for each sample, (n)."""
    if not g:
        return np.ones(active.shape[1])
    chart = detached_chart(detach, chain.schedule)
    lengths = np.abs(np.diff([chart.tau(t) for t in chain.grid]))
    return 1 + g * (lengths[start:].sum() / (lengths @ active) - 1)
