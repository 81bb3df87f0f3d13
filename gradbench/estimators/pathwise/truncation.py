"""Truncations: plans that leave out some Jacobians of a chain; see `plan`."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from gradbench import checks
from gradbench.estimators.pathwise.plan import Chain, Plan, PlanDistribution
from gradbench.estimators.refusals import no_point
from gradbench.problems.traits import ProblemTraits

EARLY = "the x0_hat of an early stop"


def too_many(name: str, number: int | None, traits: ProblemTraits) -> str | None:
    """Refuses a number of steps beyond N."""
    if number is None or number <= traits.steps:
        return None
    return f"{name} must be <= the sampler's {traits.steps} steps, got {number}"


class _OneNumber(PlanDistribution):
    """One random number per sample, by default uniform over `values`, which determines the sample's plan."""

    @abstractmethod
    def values(self, steps: int) -> np.ndarray:
        """The numbers that can be drawn."""

    @abstractmethod
    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        """The plan for samples that drew these numbers."""

    def weights(self, steps: int) -> np.ndarray:
        """The probabilities of `values`."""
        count = len(self.values(steps))
        return np.full(count, 1 / count)

    def draw(self, chain: Chain, samples: int, random: np.random.Generator) -> Plan:
        steps = chain.steps
        return self.build(steps, random.choice(self.values(steps), samples, p=self.weights(steps)))

    def mixture(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        return self.weights(chain.steps), self.build(chain.steps, self.values(chain.steps))

    def reaches_x_T(self, steps: int) -> bool:
        return self.build(steps, self.values(steps)).reaches_x_T


class _Cut(_OneNumber):
    """The chain is cut before step tau, the number drawn; every step from tau on contributes."""

    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        kept = np.arange(steps)[:, None] >= drawn
        return self.plan(kept, kept)


@dataclass(frozen=True)
class LastSteps(_Cut):
    """DRaFT-K: the last k steps; k = N is the full gradient. The chain is cut, so that `detach` makes no difference.

    References: Clark et al., 2024, DRaFT, arXiv:2309.17400.
    """

    k: int
    random = False

    def refuses(self, traits: ProblemTraits) -> str | None:
        return too_many("k", self.k, traits)

    def values(self, steps: int) -> np.ndarray:
        return np.array([steps - self.k])


class PaperCut(_Cut):
    """AlignProp as in its paper: the last K steps, with K uniform on 0..N.

    References: Prabhudesai et al., 2023, AlignProp, arXiv:2310.03739.
    """

    def values(self, steps: int) -> np.ndarray:
        return steps - np.arange(steps + 1)


class StepMask(PlanDistribution):
    """AlignProp's first released code, and TRL's: every step k draws u uniform on 0..N and detaches its network output
    if k < u. Not a truncation: the cotangent continues around detached steps; half of all steps are active on average.
    """

    def draw(self, chain: Chain, samples: int, random: np.random.Generator) -> Plan:
        drawn = random.integers(0, chain.steps + 1, (chain.steps, samples))
        return self.plan(np.arange(chain.steps)[:, None] >= drawn, np.full((chain.steps, samples), True))

    def mixture(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        # the masks are independent, and the gradient is linear in each, so their expectations replace them
        expected = ((np.arange(chain.steps) + 1) / (chain.steps + 1))[:, None]
        return np.ones(1), self.plan(expected, np.full((chain.steps, 1), True), mask=True)

    def reaches_x_T(self, steps: int) -> bool:
        return True


class NormalCut(_Cut):
    """AlignProp's second released code: tau = int(N(42, 5)), redrawn until 1 <= tau < N; steps before tau are cut.

    It assumes 50 steps; with 20 it would be redrawn forever.
    """

    def refuses(self, traits: ProblemTraits) -> str | None:
        if traits.steps >= 40:
            return None
        return (
            f"law=released-v2 cuts at int(N(42, 5)) and assumes 50 steps, which {traits.steps} steps never reach: "
            "use paper"
        )

    def values(self, steps: int) -> np.ndarray:
        return np.arange(1, steps)

    def weights(self, steps: int) -> np.ndarray:
        from scipy.stats import norm

        tau = self.values(steps)
        mass = norm.cdf(tau + 1, 42, 5) - norm.cdf(tau, 42, 5)
        return mass / mass.sum()


class Reweighted(_Cut):
    """AlignProp's cut, made unbiased: tau is uniform on 0..N-1, and step k has weight 1 / P(tau <= k) = N / (k + 1)."""

    def values(self, steps: int) -> np.ndarray:
        return np.arange(steps)

    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        scale = steps / (np.arange(steps) + 1.0)
        return replace(super().build(steps, drawn), scale=scale, scale_x_T=float(steps))


@dataclass(frozen=True)
class OneStepLeft(_OneNumber):
    """ReFL: the reward of x0_hat at one of the last `window` states, drawn uniformly; one network evaluation is active.

    The state is cut from those before it, so that `detach` makes no difference. References: Xu et al., 2023,
    ImageReward, arXiv:2304.05977; the released code draws from the last 10 of 40 steps, and None is the same
    fraction, a quarter.
    """

    window: int | None = None

    def refuses(self, traits: ProblemTraits) -> str | None:
        return no_point(traits, EARLY) or too_many("window", self.window, traits)

    def values(self, steps: int) -> np.ndarray:
        return np.arange(steps - (self.window or max(1, steps // 4)), steps)

    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        at = np.arange(steps)[:, None] == drawn
        return self.plan(at, np.zeros_like(at), stop=drawn)


@dataclass(frozen=True)
class SpacedSteps(PlanDistribution):
    """DRTune: k steps, floor(N/k) apart, from a random offset at which all of them fit; the gradient is stopped at
    every network input.

    early: the sample is x0_hat at one of the last `early` states, drawn uniformly; 0 for the end of the chain.
    References: Wu et al., 2024, DRTune, arXiv:2405.00760.
    """

    k: int
    early: int = 0

    def refuses(self, traits: ProblemTraits) -> str | None:
        pair = no_point(traits, EARLY) if self.early else None
        return pair or too_many("k", self.k, traits) or too_many("early", self.early, traits)

    def draw(self, chain: Chain, samples: int, random: np.random.Generator) -> Plan:
        steps = chain.steps
        offset = random.integers(0, self._offsets(steps), samples)
        stop = steps - random.integers(1, self.early + 1, samples) if self.early else np.full(samples, steps)
        return self._build(steps, offset, stop)

    def mixture(self, chain: Chain) -> tuple[np.ndarray, Plan]:
        steps = chain.steps
        stops = np.arange(steps - self.early, steps) if self.early else np.array([steps])
        offset, stop = (both.flatten() for both in np.meshgrid(np.arange(self._offsets(steps)), stops, indexing="ij"))
        return np.full(len(stop), 1 / len(stop)), self._build(steps, offset, stop)

    def reaches_x_T(self, steps: int) -> bool:
        return True

    def _offsets(self, steps: int) -> int:
        return steps - (self.k - 1) * (steps // self.k)

    def _build(self, steps: int, offset: np.ndarray, stop: np.ndarray) -> Plan:
        k, stride = np.arange(steps)[:, None], steps // self.k
        place = k - offset
        active = (place >= 0) & (place % stride == 0) & (place < self.k * stride)
        alive = np.broadcast_to(k < stop, active.shape).copy()
        return self.plan(active & (k <= stop), alive, stop=stop, through=np.zeros(active.shape))


@dataclass(frozen=True)
class Shortcut(_OneNumber):
    """SDO: the graph of one step, drawn uniformly, is kept; at all other steps the network's output is detached.

    References: Dou et al., 2025, You only look one step, arXiv:2505.07477 (following its abstract).
    """

    def values(self, steps: int) -> np.ndarray:
        return np.arange(steps)

    def build(self, steps: int, drawn: np.ndarray) -> Plan:
        at = np.arange(steps)[:, None] == drawn
        return self.plan(at, np.full_like(at, True))


DISTRIBUTIONS: dict[str, PlanDistribution] = {
    "paper": PaperCut(),
    "released-v1": StepMask(),
    "released-v2": NormalCut(),
    "unbiased": Reweighted(),
}


def cut_of(law: str, detach: str = "eps") -> PlanDistribution:
    """The plan distribution of AlignProp for the option `law`; `ValueError` for an unknown name."""
    return replace(DISTRIBUTIONS[checks.one_of("law", law, DISTRIBUTIONS)], detach=detach)
